#include "lib/k8s/yaml_json.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <utility>

namespace ambit::k8s {
namespace {

using nlohmann::json;

constexpr size_t kCostPerValue = 32;

struct Measure {
  size_t cost = 0;
  int depth = 0;
};

// Recursion is bounded: only values that passed the depth limit are measured.
Measure MeasureOf(const json& value) {
  Measure total{kCostPerValue, 1};
  if (value.is_string()) total.cost += value.get_ref<const std::string&>().size();
  if (!value.is_structured()) return total;
  for (const auto& item : value.items()) {
    Measure part = MeasureOf(item.value());
    total.cost += part.cost + (value.is_object() ? item.key().size() : 0);
    total.depth = std::max(total.depth, part.depth + 1);
  }
  return total;
}

std::optional<json> IntegerOf(std::string_view text) {
  bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  int base = 10;
  if (text.starts_with("0x")) base = 16;
  if (text.starts_with("0o")) base = 8;
  if (base != 10) text.remove_prefix(2);
  uint64_t magnitude = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), magnitude, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (!negative) return json(magnitude);
  if (magnitude > uint64_t{1} << 62) return std::nullopt;
  return json(-static_cast<int64_t>(magnitude));
}

std::optional<json> FloatOf(std::string_view text) {
  if (text.find_first_not_of("+-.0123456789eE") != std::string_view::npos) return std::nullopt;
  if (text.starts_with('+')) text.remove_prefix(1);
  double number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return json(number);
}

json PlainScalar(const std::string& text) {
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  if (auto number = IntegerOf(text)) return *std::move(number);
  if (auto number = FloatOf(text)) return *std::move(number);
  return text;
}

// Builds one document. After the first error it ignores what follows, so that the parser's work is
// bounded by the size of its input and nothing has to be thrown through it.
class DocumentBuilder : public YAML::EventHandler {
 public:
  explicit DocumentBuilder(const YamlLimits& limits) : limits_(limits) {}

  const std::string& error() const { return error_; }
  const json& root() const { return root_; }
  const YAML::Mark& start() const { return start_; }

  void OnDocumentStart(const YAML::Mark& mark) override { start_ = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Finish(mark, anchor, nullptr);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    // A key is its text, whatever type it would have as a value.
    bool plain = tag == "?" && !ExpectsKey();
    Finish(mark, anchor, plain ? PlainScalar(value) : json(value));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(mark, anchor, json::array());
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(mark, anchor, json::object());
  }
  void OnMapEnd() override { Close(); }

 private:
  struct Frame {
    json value;
    YAML::anchor_t anchor;
    YAML::Mark mark;
    std::optional<std::string> key;
  };

  bool ExpectsKey() const {
    return !stack_.empty() && stack_.back().value.is_object() && !stack_.back().key;
  }
  void Problem(const YAML::Mark& mark, std::string text) {
    if (error_.empty()) error_ = "line " + std::to_string(mark.line + 1) + ": " + std::move(text);
  }
  bool Spend(const YAML::Mark& mark, size_t cost) {
    spent_ += cost;
    if (spent_ > limits_.cost_bytes) Problem(mark, "too much content; aliases may multiply it");
    return error_.empty();
  }
  void Open(const YAML::Mark& mark, YAML::anchor_t anchor, json value);
  void Close();
  void Finish(const YAML::Mark& mark, YAML::anchor_t anchor, json value);
  void TakeKey(const YAML::Mark& mark, const json& value);

  const YamlLimits limits_;
  std::vector<Frame> stack_;
  std::map<YAML::anchor_t, json> anchors_;
  json root_;
  YAML::Mark start_ = YAML::Mark::null_mark();
  size_t spent_ = 0;
  std::string error_;
};

void DocumentBuilder::OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) {
  if (!error_.empty()) return;
  auto found = anchors_.find(anchor);
  if (found == anchors_.end()) return Problem(mark, "an alias inside the value that it names");
  Measure measure = MeasureOf(found->second);
  if (static_cast<int>(stack_.size()) + measure.depth > limits_.depth) {
    return Problem(mark, "nested deeper than " + std::to_string(limits_.depth) + " levels");
  }
  if (Spend(mark, measure.cost)) Finish(mark, YAML::NullAnchor, found->second);
}

void DocumentBuilder::Open(const YAML::Mark& mark, YAML::anchor_t anchor, json value) {
  if (!error_.empty()) return;
  if (ExpectsKey()) return Problem(mark, "a map key must be a scalar");
  if (static_cast<int>(stack_.size()) >= limits_.depth) {
    return Problem(mark, "nested deeper than " + std::to_string(limits_.depth) + " levels");
  }
  if (Spend(mark, kCostPerValue)) {
    stack_.push_back({std::move(value), anchor, mark, std::nullopt});
  }
}

void DocumentBuilder::Close() {
  if (!error_.empty()) return;
  Frame frame = std::move(stack_.back());
  stack_.pop_back();
  Finish(frame.mark, frame.anchor, std::move(frame.value));
}

void DocumentBuilder::Finish(const YAML::Mark& mark, YAML::anchor_t anchor, json value) {
  if (!error_.empty()) return;
  if (!value.is_structured() && !Spend(mark, MeasureOf(value).cost)) return;
  if (anchor != YAML::NullAnchor) {
    if (!Spend(mark, MeasureOf(value).cost)) return;
    anchors_[anchor] = value;
  }
  if (ExpectsKey()) return TakeKey(mark, value);
  if (stack_.empty()) {
    root_ = std::move(value);
  } else if (Frame& parent = stack_.back(); parent.value.is_array()) {
    parent.value.push_back(std::move(value));
  } else {
    parent.value[*std::exchange(parent.key, std::nullopt)] = std::move(value);
  }
}

void DocumentBuilder::TakeKey(const YAML::Mark& mark, const json& value) {
  if (!value.is_string()) return Problem(mark, "a map key must be a scalar");
  const std::string& key = value.get_ref<const std::string&>();
  if (key == "<<") return Problem(mark, "merge keys (<<) are not supported");
  if (stack_.back().value.contains(key)) {
    return Problem(mark, "key \"" + key + "\" stands twice in one map");
  }
  stack_.back().key = key;
}

std::unexpected<Error> BadDocument(size_t index, const std::string& text) {
  return Fail(ErrorCode::kInvalidArgument, "document " + std::to_string(index) + ": " + text);
}

}  // namespace

Result<std::vector<std::string>> YamlToJson(std::string_view yaml, const YamlLimits& limits) {
  std::vector<std::string> documents;
  // yaml-cpp and json report errors by exceptions; they end here.
  try {
    std::istringstream stream{std::string(yaml)};
    YAML::Parser parser(stream);
    int last_start = -1;
    while (true) {
      DocumentBuilder builder(limits);
      if (!parser.HandleNextDocument(builder)) break;
      if (!builder.error().empty()) return BadDocument(documents.size() + 1, builder.error());
      // From a character that may not stand there (a comma outside of brackets) yaml-cpp makes
      // empty documents for ever.
      if (builder.start().pos == last_start) {
        return BadDocument(documents.size(), "line " + std::to_string(builder.start().line + 1) +
                                                 ": unexpected character");
      }
      last_start = builder.start().pos;
      documents.push_back(builder.root().dump());
    }
  } catch (const YAML::Exception& problem) {
    return BadDocument(documents.size() + 1,
                       "line " + std::to_string(problem.mark.line + 1) + ": " + problem.msg);
  } catch (const json::exception&) {
    return BadDocument(documents.size() + 1, "text that is not UTF-8");
  }
  return documents;
}

}  // namespace ambit::k8s
