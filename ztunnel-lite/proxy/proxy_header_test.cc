#include "ztunnel-lite/proxy/proxy_header.h"

#include <gtest/gtest.h>

namespace ambit::proxy {
namespace {

net::Endpoint At(const char* text) { return net::Endpoint::Parse(text).value(); }

constexpr char kIdentity[] = "spiffe://cluster.local/ns/default/sa/client";

TEST(ProxyHeader, CarriesBothAddressesAndTheClientsIdentity) {
  auto header = ProxyHeader(At("10.244.1.5:41234"), At("10.96.0.9:80"), kIdentity, "");
  EXPECT_EQ(HexEncode(header),
            "0d0a0d0a000d0a515549540a"
            "2111003a"
            "0af40105"
            "0a600009"
            "a1120050"
            "d0002b" +
                HexEncode(AsBytes(kIdentity)));
}

TEST(ProxyHeader, CarriesIpv6) {
  auto header = ProxyHeader(At("[fd00::1]:1"), At("[fd00::2]:2"), "", "");
  EXPECT_EQ(HexEncode(header),
            "0d0a0d0a000d0a515549540a"
            "21210024"
            "fd000000000000000000000000000001"
            "fd000000000000000000000000000002"
            "00010002");
}

TEST(ProxyHeader, OfTwoFamiliesCarriesNoAddressButWhoItWas) {
  auto header = ProxyHeader(At("10.0.0.1:1"), At("[fd00::2]:2"), "me", "");
  EXPECT_EQ(HexEncode(header), "0d0a0d0a000d0a515549540a21010005d000026d65");
}

TEST(ProxyHeader, NamesTheServiceThatWasCalled) {
  auto header = ProxyHeader(At("10.0.0.1:1"), At("[fd00::2]:2"), "", "web");
  EXPECT_EQ(HexEncode(header), "0d0a0d0a000d0a515549540a21010006d10003776562");
}

TEST(ProxyHeader, WhatDoesNotFitIsLeftOut) {
  std::string huge(0xFFFF, 'x');
  auto header = ProxyHeader(At("10.0.0.1:1"), At("10.0.0.2:2"), huge, "web");
  EXPECT_EQ(header.size(), 16u + 12 + 3 + 3);
}

}  // namespace
}  // namespace ambit::proxy
