#include "ztunnel-lite/local/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <utility>

namespace ambit::local {
namespace {

using Kind = YamlValue::Kind;

struct Measure {
  size_t values = 1;
  size_t depth = 1;
};

// Recursion is bounded: only values that passed the depth limit are measured.
Measure MeasureOf(const YamlValue& value) {
  Measure total;
  for (const YamlValue& item : value.items) {
    Measure part = MeasureOf(item);
    total.values += part.values;
    total.depth = std::max(total.depth, part.depth + 1);
  }
  return total;
}

std::string AtLine(int line, const std::string& text) {
  return "line " + std::to_string(line) + ": " + text;
}

// "!Name value" is written for {Name: value}.
YamlValue Tagged(std::string name, YamlValue value) {
  YamlValue map{Kind::kMap, value.line, {}, {}, {}};
  value.key = std::move(name);
  map.items.push_back(std::move(value));
  return map;
}

// Builds one document. After the first error it ignores what follows, so that nothing has to be
// thrown through the parser.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const YamlLimits& limits) : limits_(limits) {}

  const std::string& error() const { return error_; }
  YamlValue TakeRoot() { return std::move(root_); }
  const YAML::Mark& start() const { return start_; }

  void OnDocumentStart(const YAML::Mark& mark) override { start_ = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Finish({Kind::kNull, mark.line + 1, {}, {}, {}}, anchor);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    bool null = tag == "?" && !ExpectsKey() && (text.empty() || text == "~" || text == "null");
    Finish({null ? Kind::kNull : Kind::kScalar, mark.line + 1, {}, text, {}}, anchor, tag);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(Kind::kList, mark, anchor, tag);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(Kind::kMap, mark, anchor, tag);
  }
  void OnMapEnd() override { Close(); }

 private:
  struct Frame {
    YamlValue value;
    YAML::anchor_t anchor;
    std::string tag;
    std::optional<std::string> key;
  };

  bool ExpectsKey() const {
    return !stack_.empty() && stack_.back().value.kind == Kind::kMap && !stack_.back().key;
  }
  void Problem(int line, const std::string& text) {
    if (error_.empty()) error_ = AtLine(line, text);
  }
  bool Spend(int line, size_t values) {
    spent_ += values;
    if (spent_ > limits_.values) Problem(line, "too much content; aliases may multiply it");
    return error_.empty();
  }
  void Open(Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor, const std::string& tag);
  void Close();
  void Finish(YamlValue value, YAML::anchor_t anchor, const std::string& tag = "");
  void TakeKey(const YamlValue& value);

  const YamlLimits limits_;
  std::vector<Frame> stack_;
  std::map<YAML::anchor_t, YamlValue> anchors_;
  YamlValue root_;
  YAML::Mark start_ = YAML::Mark::null_mark();
  size_t spent_ = 0;
  std::string error_;
};

void TreeBuilder::OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) {
  if (!error_.empty()) return;
  int line = mark.line + 1;
  auto found = anchors_.find(anchor);
  if (found == anchors_.end()) return Problem(line, "an alias inside the value that it names");
  Measure measure = MeasureOf(found->second);
  if (stack_.size() + measure.depth > limits_.depth) return Problem(line, "nested too deep");
  if (Spend(line, measure.values)) Finish(found->second, YAML::NullAnchor);
}

void TreeBuilder::Open(Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor,
                       const std::string& tag) {
  if (!error_.empty()) return;
  int line = mark.line + 1;
  if (ExpectsKey()) return Problem(line, "a map key must be a scalar");
  if (stack_.size() >= limits_.depth) return Problem(line, "nested too deep");
  if (Spend(line, 1)) stack_.push_back({{kind, line, {}, {}, {}}, anchor, tag, std::nullopt});
}

void TreeBuilder::Close() {
  if (!error_.empty()) return;
  Frame frame = std::move(stack_.back());
  stack_.pop_back();
  Finish(std::move(frame.value), frame.anchor, frame.tag);
}

void TreeBuilder::Finish(YamlValue value, YAML::anchor_t anchor, const std::string& tag) {
  if (!error_.empty() || !Spend(value.line, 1)) return;
  if (tag.size() > 1 && tag.starts_with('!')) value = Tagged(tag.substr(1), std::move(value));
  if (anchor != YAML::NullAnchor) {
    if (!Spend(value.line, MeasureOf(value).values)) return;
    anchors_[anchor] = value;
  }
  if (ExpectsKey()) return TakeKey(value);
  if (stack_.empty()) {
    root_ = std::move(value);
    return;
  }
  Frame& parent = stack_.back();
  if (parent.key) value.key = *std::exchange(parent.key, std::nullopt);
  parent.value.items.push_back(std::move(value));
}

void TreeBuilder::TakeKey(const YamlValue& value) {
  if (value.kind != Kind::kScalar) return Problem(value.line, "a map key must be a scalar");
  if (value.text == "<<") return Problem(value.line, "merge keys (<<) are not supported");
  stack_.back().key = value.text;
}

// Line and text of the first key that stands twice in its map.
std::optional<std::string> FindDoubleKey(const YamlValue& value) {
  if (value.kind == Kind::kMap) {
    std::map<std::string_view, int> lines;
    for (const YamlValue& item : value.items) {
      auto [first, inserted] = lines.emplace(item.key, item.line);
      if (inserted) continue;
      return AtLine(item.line, "key \"" + item.key + "\" stands at line " +
                                   std::to_string(first->second) + " already");
    }
  }
  for (const YamlValue& item : value.items) {
    if (auto found = FindDoubleKey(item)) return found;
  }
  return std::nullopt;
}

std::unexpected<Error> Bad(std::string text) {
  return Fail(ErrorCode::kInvalidArgument, std::move(text));
}

}  // namespace

Result<YamlValue> ParseYaml(std::string_view yaml, const YamlLimits& limits) {
  // yaml-cpp reports errors by exceptions; they end here.
  try {
    std::istringstream stream{std::string(yaml)};
    YAML::Parser parser(stream);
    TreeBuilder builder(limits);
    if (!parser.HandleNextDocument(builder)) return YamlValue();
    if (!builder.error().empty()) return Bad(builder.error());
    TreeBuilder second(limits);
    if (parser.HandleNextDocument(second)) {
      return Bad(AtLine(second.start().line + 1, "a second document, or a stray character"));
    }
    YamlValue root = builder.TakeRoot();
    if (auto twice = FindDoubleKey(root)) return Bad(*twice);
    return root;
  } catch (const YAML::Exception& problem) {
    return Bad(AtLine(problem.mark.line + 1, problem.msg));
  }
}

}  // namespace ambit::local
