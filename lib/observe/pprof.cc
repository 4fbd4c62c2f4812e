#include "lib/observe/pprof.h"

#include <cxxabi.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string_view>
#include <unordered_map>

namespace ambit::observe {
namespace {

// The two wire types of protobuf that a profile needs.
class Writer {
 public:
  void Number(int field, uint64_t value) {
    Varint(static_cast<uint64_t>(field) << 3);
    Varint(value);
  }
  void Bytes(int field, std::string_view bytes) {
    Varint((static_cast<uint64_t>(field) << 3) | 2);
    Varint(bytes.size());
    out_ += bytes;
  }
  const std::string& out() const { return out_; }

 private:
  void Varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_ += static_cast<char>(value | 0x80);
    out_ += static_cast<char>(value);
  }
  std::string out_;
};

struct Mapping {
  uintptr_t start = 0, end = 0;
  uint64_t offset = 0;
  std::string file;
};

std::vector<Mapping> ReadExecutableMappings() {
  std::vector<Mapping> mappings;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    unsigned long start = 0, end = 0, offset = 0;
    char flags[5] = {}, path[4096] = {};
    const int got = std::sscanf(line.c_str(), "%lx-%lx %4s %lx %*s %*s %4095[^\n]", &start, &end,
                                flags, &offset, path);
    if (got >= 4 && flags[2] == 'x') mappings.push_back({start, end, offset, path});
  }
  return mappings;
}

std::string Demangle(const char* name) {
  int status = 0;
  std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(name, nullptr, nullptr, &status), std::free);
  return status == 0 && text ? text.get() : name;
}

// Field numbers are those of google/pprof's profile.proto.
class Encoder {
 public:
  Encoder() : mappings_(ReadExecutableMappings()) { Text(""); }

  std::string Encode(const std::map<std::vector<uintptr_t>, int64_t>& stacks,
                     const ProfileTimes& times) {
    profile_.Bytes(1, ValueType("samples", "count"));
    profile_.Bytes(1, ValueType("cpu", "nanoseconds"));
    for (const auto& [stack, count] : stacks) AddSample(stack, count, times.period);
    for (size_t i = 0; i < mappings_.size(); ++i) AddMapping(i);
    profile_.Number(
        9, static_cast<uint64_t>(times.start.time_since_epoch() / std::chrono::nanoseconds(1)));
    profile_.Number(10, static_cast<uint64_t>(times.duration.count()));
    profile_.Bytes(11, ValueType("cpu", "nanoseconds"));
    profile_.Number(12, static_cast<uint64_t>(times.period.count()));
    for (const auto& text : texts_) profile_.Bytes(6, text);
    return profile_.out();
  }

 private:
  uint64_t Text(const std::string& text) {
    auto [found, added] = text_ids_.try_emplace(text, texts_.size());
    if (added) texts_.push_back(text);
    return found->second;
  }

  std::string ValueType(const char* type, const char* unit) {
    Writer value;
    value.Number(1, Text(type));
    value.Number(2, Text(unit));
    return value.out();
  }

  void AddSample(const std::vector<uintptr_t>& stack, int64_t count,
                 std::chrono::nanoseconds period) {
    Writer sample;
    for (size_t i = 0; i < stack.size(); ++i) {
      // A return address is after the call that it belongs to.
      sample.Number(1, Location(i == 0 ? stack[i] : stack[i] - 1));
    }
    sample.Number(2, static_cast<uint64_t>(count));
    sample.Number(2, static_cast<uint64_t>(count * period.count()));
    profile_.Bytes(2, sample.out());
  }

  uint64_t Location(uintptr_t address) {
    auto [found, added] = location_ids_.try_emplace(address, location_ids_.size() + 1);
    if (!added) return found->second;
    Writer location;
    location.Number(1, found->second);
    for (size_t i = 0; i < mappings_.size(); ++i) {
      if (address >= mappings_[i].start && address < mappings_[i].end) location.Number(2, i + 1);
    }
    location.Number(3, address);
    Dl_info symbol{};
    if (dladdr(reinterpret_cast<void*>(address), &symbol) != 0 && symbol.dli_sname != nullptr) {
      Writer line;
      line.Number(1, Function(symbol.dli_sname, symbol.dli_fname));
      location.Bytes(4, line.out());
    }
    profile_.Bytes(4, location.out());
    return found->second;
  }

  uint64_t Function(const char* name, const char* file) {
    auto [found, added] = function_ids_.try_emplace(name, function_ids_.size() + 1);
    if (!added) return found->second;
    Writer function;
    function.Number(1, found->second);
    function.Number(2, Text(Demangle(name)));
    function.Number(3, Text(name));
    function.Number(4, Text(file != nullptr ? file : ""));
    profile_.Bytes(5, function.out());
    return found->second;
  }

  void AddMapping(size_t index) {
    const Mapping& mapping = mappings_[index];
    Writer out;
    out.Number(1, index + 1);
    out.Number(2, mapping.start);
    out.Number(3, mapping.end);
    out.Number(4, mapping.offset);
    out.Number(5, Text(mapping.file));
    profile_.Bytes(3, out.out());
  }

  const std::vector<Mapping> mappings_;
  Writer profile_;
  std::vector<std::string> texts_;
  std::unordered_map<std::string, uint64_t> text_ids_;
  std::unordered_map<uintptr_t, uint64_t> location_ids_;
  std::unordered_map<std::string, uint64_t> function_ids_;
};

}  // namespace

std::string EncodePprof(const std::map<std::vector<uintptr_t>, int64_t>& stacks,
                        const ProfileTimes& times) {
  return Encoder().Encode(stacks, times);
}

}  // namespace ambit::observe
