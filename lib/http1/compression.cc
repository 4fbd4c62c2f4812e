#include "lib/http1/compression.h"

#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>

namespace ambit::http1 {
namespace {

constexpr size_t kSmallestBody = 32;
constexpr std::string_view kNames[] = {"identity", "deflate", "gzip", "br", "zstd"};
// A scrape is a short burst of work on the control thread: fast levels win.
constexpr int kZlibLevel = 6;
constexpr int kBrotliQuality = 4;
constexpr int kZstdLevel = 3;

std::string_view Trim(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

// The q of "gzip;q=0.5"; 1 where there is none, 0 where it does not parse.
double Weight(std::string_view parameters) {
  parameters = Trim(parameters);
  if (parameters.empty()) return 1;
  if (!parameters.starts_with("q=") && !parameters.starts_with("Q=")) return 0;
  parameters.remove_prefix(2);
  double weight = 0;
  auto [end, error] =
      std::from_chars(parameters.data(), parameters.data() + parameters.size(), weight);
  const bool whole = error == std::errc() && end == parameters.data() + parameters.size();
  return whole && weight >= 0 && weight <= 1 ? weight : 0;
}

bool SameName(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

// 15 bits of window; 16 more ask for gzip's frame.
std::optional<std::string> Zlib(const std::string& body, int window_bits) {
  z_stream stream{};
  if (deflateInit2(&stream, kZlibLevel, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    return std::nullopt;
  }
  std::string out(deflateBound(&stream, body.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  stream.avail_in = static_cast<uInt>(body.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const bool done = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (!done) return std::nullopt;
  return out;
}

std::optional<std::string> Brotli(const std::string& body) {
  size_t size = BrotliEncoderMaxCompressedSize(body.size());
  std::string out(size, '\0');
  if (BrotliEncoderCompress(kBrotliQuality, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_TEXT, body.size(),
                            reinterpret_cast<const uint8_t*>(body.data()), &size,
                            reinterpret_cast<uint8_t*>(out.data())) == BROTLI_FALSE) {
    return std::nullopt;
  }
  out.resize(size);
  return out;
}

std::optional<std::string> Zstd(const std::string& body) {
  std::string out(ZSTD_compressBound(body.size()), '\0');
  const size_t size = ZSTD_compress(out.data(), out.size(), body.data(), body.size(), kZstdLevel);
  if (ZSTD_isError(size) != 0) return std::nullopt;
  out.resize(size);
  return out;
}

std::optional<std::string> Encode(Coding coding, const std::string& body) {
  switch (coding) {
    case Coding::kIdentity:
      return std::nullopt;
    case Coding::kDeflate:
      return Zlib(body, 15);
    case Coding::kGzip:
      return Zlib(body, 15 + 16);
    case Coding::kBrotli:
      return Brotli(body);
    case Coding::kZstd:
      return Zstd(body);
  }
  return std::nullopt;
}

}  // namespace

Coding ChooseCoding(std::string_view accept_encoding) {
  Coding best = Coding::kIdentity;
  double best_weight = 0;
  while (!accept_encoding.empty()) {
    std::string_view element = accept_encoding.substr(0, accept_encoding.find(','));
    accept_encoding.remove_prefix(std::min(accept_encoding.size(), element.size() + 1));
    const size_t semicolon = std::min(element.find(';'), element.size());
    const std::string_view name = Trim(element.substr(0, semicolon));
    const auto found = std::ranges::find_if(
        kNames, [name](std::string_view known) { return SameName(known, name); });
    if (found == std::end(kNames)) continue;
    const auto coding = static_cast<Coding>(found - std::begin(kNames));
    const double weight = semicolon == element.size() ? 1 : Weight(element.substr(semicolon + 1));
    if (weight == 0 || weight < best_weight || (weight == best_weight && coding < best)) continue;
    best = coding;
    best_weight = weight;
  }
  return best;
}

void Compress(const Request& request, Response& response) {
  if (response.body.size() < kSmallestBody) return;
  response.headers["Vary"] = "accept-encoding";
  auto accept = request.headers.find("accept-encoding");
  if (accept == request.headers.end()) return;
  const Coding coding = ChooseCoding(accept->second);
  auto encoded = Encode(coding, response.body);
  if (!encoded) return;
  response.body = std::move(*encoded);
  response.headers["Content-Encoding"] = kNames[static_cast<size_t>(coding)];
}

}  // namespace ambit::http1
