#include "lib/base/bytes.h"

#include <gtest/gtest.h>

namespace ambit {
namespace {

TEST(Base64, EncodesAndDecodesTheVectorsOfRfc4648) {
  const std::pair<std::string_view, std::string_view> vectors[] = {{"", ""},
                                                                   {"f", "Zg=="},
                                                                   {"fo", "Zm8="},
                                                                   {"foo", "Zm9v"},
                                                                   {"foob", "Zm9vYg=="},
                                                                   {"fooba", "Zm9vYmE="},
                                                                   {"foobar", "Zm9vYmFy"}};
  for (auto [plain, coded] : vectors) {
    EXPECT_EQ(Base64Encode(AsBytes(plain)), coded);
    auto decoded = Base64Decode(coded);
    ASSERT_TRUE(decoded.has_value()) << coded;
    EXPECT_EQ(AsText(*decoded), plain);
  }
}

TEST(Base64, RefusesWhatIsNotBase64) {
  for (std::string_view bad : {"Zg=", "Zg= =", "Z===", "Zg==Zg==", "Zm 9", "=Zm9", "Zm9\n"}) {
    EXPECT_FALSE(Base64Decode(bad).has_value()) << bad;
  }
}

TEST(Hex, RoundTripsAndRefusesOddLengthAndStrangers) {
  auto bytes = HexDecode("00ffA5");
  ASSERT_TRUE(bytes.has_value());
  EXPECT_EQ(HexEncode(*bytes), "00ffa5");
  EXPECT_FALSE(HexDecode("0").has_value());
  EXPECT_FALSE(HexDecode("0g").has_value());
}

}  // namespace
}  // namespace ambit
