#include "registry/hops.hpp"

#include <gtest/gtest.h>

namespace slipway::registry {
namespace {

Status hop(const char* from, const char* to, Hop what = Hop::kAnswer) {
  return check_hop(http::Url::parse(from).value(), http::Url::parse(to).value(), what);
}

TEST(Hops, PlainHttpAfterHttpsIsForVerifiedBytesOnly) {
  EXPECT_TRUE(hop("https://a.example/v2/", "https://cdn.example/x"));
  EXPECT_FALSE(hop("https://a.example/v2/", "http://a.example/x"));
  EXPECT_FALSE(hop("https://a.example/v2/", "http://cdn.example/x"));
  EXPECT_TRUE(hop("https://a.example/v2/", "http://cdn.example/x", Hop::kVerified));
  EXPECT_TRUE(hop("http://a.example/v2/", "http://cdn.example/x"));
  EXPECT_EQ(hop("https://a.example/v2/", "http://a.example/x").error().hint().empty(), false);
}

TEST(Hops, NobodyOutThereNamesThisMachineOrItsMetadata) {
  for (const char* to : {"https://127.0.0.1/x", "http://127.9.9.9:8080/", "https://localhost/", "https://[::1]/",
                         "http://169.254.169.254/latest/meta-data", "https://[fe80::1]/", "https://x.localhost/",
                         "http://0.0.0.0/", "https://[::ffff:127.0.0.1]/", "https://[::]/", "https://localhost./",
                         "http://[::ffff:169.254.169.254]/x", "http://[fd00:ec2::254]/", "https://[febf::1]/"}) {
    EXPECT_FALSE(hop("https://a.example/v2/", to, Hop::kVerified)) << to;
    EXPECT_FALSE(hop("http://a.example/v2/", to, Hop::kVerified)) << to;
  }
  for (const char* to : {"http://169.254.169.254/latest/meta-data", "http://[::ffff:169.254.169.254]/x",
                         "http://[::ffff:a9fe:a9fe]/x", "http://[fd00:ec2::254]/x"})
    EXPECT_FALSE(hop("http://127.0.0.1:5000/v2/", to, Hop::kVerified)) << to;
  EXPECT_TRUE(hop("http://127.0.0.1:5000/v2/", "http://127.0.0.1:9000/bucket", Hop::kVerified));
  EXPECT_TRUE(hop("http://localhost:5000/v2/", "http://127.0.0.1:9000/bucket", Hop::kVerified));
}

}  // namespace
}  // namespace slipway::registry
