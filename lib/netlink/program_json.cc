#include <nlohmann/json.hpp>
#include <utility>

#include "lib/netlink/program.h"

namespace ambit::netlink {
namespace {

using nlohmann::json;

constexpr size_t kMaxTextBytes = size_t{16} * 1024 * 1024;
constexpr int kMaxErrno = 4095;  // MAX_ERRNO of the kernel

std::unexpected<Error> Bad(const std::string& where, const std::string& what) {
  return Fail(ErrorCode::kInvalidArgument, "netlink program: " + where + what);
}

// nullptr when the key is absent or the value is no object.
const json* FindKey(const json& object, const char* key) {
  auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

Result<std::vector<int>> ReadTolerated(const json& object, const std::string& where) {
  std::vector<int> tolerated;
  const json* list = FindKey(object, "tolerated");
  if (list == nullptr) return tolerated;
  if (!list->is_array()) return Bad(where, ".tolerated is not a list");
  if (list->size() > 16) return Bad(where, ".tolerated has more than 16 entries");
  for (const json& entry : *list) {
    if (!entry.is_number_integer()) return Bad(where, ".tolerated has an entry that is no integer");
    // get<int>() would truncate a value of more than 32 bits into the allowed range.
    const auto value = entry.get<int64_t>();
    if (value < 1 || value > kMaxErrno)
      return Bad(where, ".tolerated has an entry that is no errno");
    tolerated.push_back(static_cast<int>(value));
  }
  return tolerated;
}

Result<Message> ReadMessage(const json& object, const std::string& where) {
  if (!object.is_object()) return Bad(where, " is not an object");
  Message message;
  if (const json* name = FindKey(object, "name")) {
    if (!name->is_string()) return Bad(where, ".name is not a string");
    message.name = name->get_ref<const std::string&>();
  }
  const json* bytes = FindKey(object, "bytes");
  if (bytes == nullptr || !bytes->is_string()) return Bad(where, ".bytes is not a string");
  auto decoded = Base64Decode(bytes->get_ref<const std::string&>());
  if (!decoded) return Bad(where, ".bytes: " + decoded.error().message());
  message.bytes = std::move(*decoded);
  auto tolerated = ReadTolerated(object, where);
  if (!tolerated) return Fail(tolerated.error());
  message.tolerated = std::move(*tolerated);
  if (const json* acknowledged = FindKey(object, "acknowledged")) {
    if (!acknowledged->is_boolean()) return Bad(where, ".acknowledged is not true or false");
    message.acknowledged = acknowledged->get<bool>();
  }
  return message;
}

Result<Transaction> ReadTransaction(const json& object, const std::string& where) {
  if (!object.is_object()) return Bad(where, " is not an object");
  Transaction transaction;
  const json* family = FindKey(object, "family");
  if (family == nullptr || !family->is_number_unsigned() || family->get<uint64_t>() > 255) {
    return Bad(where, ".family is not a small number");
  }
  transaction.family = family->get<int>();
  const json* messages = FindKey(object, "messages");
  if (messages == nullptr || !messages->is_array()) return Bad(where, ".messages is not a list");
  for (const json& entry : *messages) {
    auto message = ReadMessage(
        entry, where + ".messages[" + std::to_string(transaction.messages.size()) + "]");
    if (!message) return Fail(message.error());
    transaction.messages.push_back(std::move(*message));
  }
  return transaction;
}

json MessageJson(const Message& message) {
  json object = {{"name", message.name}, {"bytes", Base64Encode(message.bytes)}};
  if (!message.tolerated.empty()) object["tolerated"] = message.tolerated;
  if (!message.acknowledged) object["acknowledged"] = false;
  return object;
}

}  // namespace

std::string ToJson(const Program& program) {
  json transactions = json::array();
  for (const Transaction& transaction : program.transactions) {
    json messages = json::array();
    for (const Message& message : transaction.messages) messages.push_back(MessageJson(message));
    transactions.push_back({{"family", transaction.family}, {"messages", std::move(messages)}});
  }
  const json root = {{"transactions", std::move(transactions)}};
  // A name that is not UTF-8 must not become an exception.
  return root.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<Program> FromJson(std::string_view text) {
  if (text.size() > kMaxTextBytes) return Bad("", "longer than 16 MiB");
  const json root = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (root.is_discarded()) return Bad("", "not valid JSON");
  const json* transactions = FindKey(root, "transactions");
  if (transactions == nullptr || !transactions->is_array()) {
    return Bad("", "no list named transactions");
  }
  Program program;
  for (const json& entry : *transactions) {
    auto transaction =
        ReadTransaction(entry, "transactions[" + std::to_string(program.transactions.size()) + "]");
    if (!transaction) return Fail(transaction.error());
    program.transactions.push_back(std::move(*transaction));
  }
  if (auto checked = Check(program); !checked) return Fail(checked.error());
  return program;
}

}  // namespace ambit::netlink
