#include "base/address.hpp"

#include <gtest/gtest.h>

namespace slipway {
namespace {

TEST(Address, WhatStandsBeforeTheHostIsNotShown) {
  for (const auto& [address, shown] : std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {"https://joe:pw@h", R"("https://***@h")"},
           {"https://token@h:5000/app?x=@", R"("https://***@h:5000/app?x=@")"},
           {"https://joe:p@w@h/app", R"("https://***@h/app")"},
           {"joe:pw@h:5000/app:1@sha256:0", R"("***@h:5000/app:1@sha256:0")"},
           {"joe:pw@[::1]/app", R"("***@[::1]/app")"},
           {"https://joe:pw@h:x/app", R"("https://***@h:x/app")"},
           {"joe:pw@h", R"("***@h")"}})
    EXPECT_EQ(shown, quoted_address(address)) << address;
}

TEST(Address, ADigestIsNoHost) {
  const std::string digest(64, '0');
  for (const std::string& address : {"app@sha256:" + digest, "app:1@sha256:" + digest, std::string("app@md5:abc"),
                                     "h:5000/team/app@sha256:" + digest, std::string("app@sha256:"),
                                     std::string("https://h/a@b"), std::string("h/a@b"), std::string()}) {
    EXPECT_EQ("", user_information(address)) << address;
    EXPECT_EQ('"' + address + '"', quoted_address(address));
  }
}

}  // namespace
}  // namespace slipway
