#include "lib/http1/compression.h"

#include <brotli/decode.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

namespace ambit::http1 {
namespace {

std::string Text() {
  std::string text;
  for (int i = 0; i < 500; ++i) {
    text += "istio_tcp_sent_bytes_total{workload=\"w" + std::to_string(i) + "\"} 1\n";
  }
  return text;
}

std::string Inflate(const std::string& body, int window_bits, size_t size) {
  std::string out(size, '\0');
  z_stream stream{};
  inflateInit2(&stream, window_bits);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  stream.avail_in = static_cast<uInt>(body.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  inflateEnd(&stream);
  return out;
}

std::string Decode(const std::string& coding, const std::string& body, size_t size) {
  if (coding == "gzip") return Inflate(body, 15 + 16, size);
  if (coding == "deflate") return Inflate(body, 15, size);
  std::string out(size, '\0');
  if (coding == "zstd") {
    EXPECT_EQ(ZSTD_decompress(out.data(), size, body.data(), body.size()), size);
  } else {
    EXPECT_EQ(BrotliDecoderDecompress(body.size(), reinterpret_cast<const uint8_t*>(body.data()),
                                      &size, reinterpret_cast<uint8_t*>(out.data())),
              BROTLI_DECODER_RESULT_SUCCESS);
  }
  return out;
}

TEST(Compression, EveryCodingGivesTheBodyBack) {
  for (const char* coding : {"gzip", "deflate", "br", "zstd"}) {
    Request request;
    request.headers["accept-encoding"] = coding;
    Response response;
    response.body = Text();
    Compress(request, response);
    EXPECT_EQ(response.headers.at("Content-Encoding"), coding);
    EXPECT_EQ(response.headers.at("Vary"), "accept-encoding");
    EXPECT_LT(response.body.size(), Text().size() / 3);
    EXPECT_EQ(Decode(coding, response.body, Text().size()), Text());
  }
}

TEST(Compression, TheCodingIsTheOneTheClientLikesBest) {
  const std::pair<const char*, Coding> cases[] = {
      {"", Coding::kIdentity},
      {"gzip", Coding::kGzip},
      {"GZIP", Coding::kGzip},
      {"gzip, deflate, br", Coding::kBrotli},
      {"gzip,deflate,br,zstd", Coding::kZstd},
      {"deflate, gzip", Coding::kGzip},
      {"gzip;q=1, zstd;q=0.5", Coding::kGzip},
      {"gzip;q=0", Coding::kIdentity},
      {"gzip;q=0, deflate;q=0.001", Coding::kDeflate},
      {"identity;q=1, gzip;q=0.5", Coding::kIdentity},
      {"identity;q=0.5, gzip; q=1", Coding::kGzip},
      {"compress, *", Coding::kIdentity},
      {"gzip;q=x", Coding::kIdentity},
      {"gzip;q=2", Coding::kIdentity},
      {",,;q=1,gzip;", Coding::kGzip},
  };
  for (const auto& [accept, coding] : cases) EXPECT_EQ(ChooseCoding(accept), coding) << accept;
}

TEST(Compression, SmallBodiesAndThoseNobodyAskedForStay) {
  Request request;
  Response plain;
  plain.body = Text();
  Compress(request, plain);
  EXPECT_EQ(plain.body, Text());
  EXPECT_FALSE(plain.headers.contains("Content-Encoding"));
  request.headers["accept-encoding"] = "gzip";
  Response small;
  small.body = std::string(31, 'a');
  Compress(request, small);
  EXPECT_EQ(small.body, std::string(31, 'a'));
  EXPECT_TRUE(small.headers.empty());
  small.body += 'a';
  Compress(request, small);
  EXPECT_EQ(Decode("gzip", small.body, 32), std::string(32, 'a'));
}

}  // namespace
}  // namespace ambit::http1
