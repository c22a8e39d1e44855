#include "distribution/htpasswd.hpp"

#include <crypt.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "sys/file.hpp"

namespace slipway::distribution {
namespace {

std::string hash_of(const std::string& password) {
  crypt_data data{};
  return crypt_r(password.c_str(), "$2y$04$abcdefghijklmnopqrstuu", &data);
}
std::string header(std::string_view base64) { return "Basic " + std::string(base64); }

TEST(Htpasswd, Lines) {
  const auto users = parse_htpasswd("# people\n\nalice:" + hash_of("secret") + "\r\n  bob:" + hash_of("x") + "\n");
  ASSERT_TRUE(users) << users.error().message();
  EXPECT_EQ(users->size(), 2U);
  EXPECT_TRUE(users->contains("alice"));
}

TEST(Htpasswd, LinesThatAreNone) {
  const std::string good = hash_of("x");
  for (const std::string& text : std::vector<std::string>{
           "alice", ":" + good, "alice:", "alice:$apr1$abc$def", "alice:{SHA}abc", "alice:plain", "alice:" + good + "x",
           "alice:$2y$99" + good.substr(6), "alice:$2y$17" + good.substr(6), "alice:$2y$03" + good.substr(6),
           "alice:" + good + "\nalice:" + good, std::string(300, 'a') + ":" + good}) {
    const auto users = parse_htpasswd("ok:" + good + "\n" + text);
    ASSERT_FALSE(users) << text;
    EXPECT_TRUE(users.error().what().contains("line ")) << users.error().what();
  }
}

TEST(Htpasswd, Basic) {
  const auto found = parse_basic(header("YWxpY2U6c2U6Y3JldA=="));  // alice:se:cret
  ASSERT_TRUE(found);
  EXPECT_EQ(found->user, "alice");
  EXPECT_EQ(found->password, "se:cret");
  EXPECT_TRUE(parse_basic("bAsIc YTpi"));
  EXPECT_EQ(parse_basic(header("YTo="))->password, "");
  for (const char* text : {"", "Basic", "Basic ", "Bearer YTpi", "Basic YTpi=", "Basic Y=pi",
                           "Basic ====", "Basic !!!!", "Basic YQ==", "Basic OmE=", "Basic YTpiAGM="})
    EXPECT_FALSE(parse_basic(text)) << text;
  EXPECT_FALSE(parse_basic(header(std::string(4096, 'Y'))));
}

TEST(Htpasswd, NobodyTakesAsLongAsTheSlowest) {
  const std::string rest = "N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";
  const std::string hash =
      hash_of_nobody({{"alice", "$2y$05$" + rest}, {"bob", "$2b$12$" + rest}, {"carol", "$2y$04$" + rest}});
  EXPECT_EQ(hash.substr(0, 7), "$2y$12$");
  EXPECT_TRUE(parse_htpasswd("nobody:" + hash));  // crypt(3) takes it for what it is
  EXPECT_EQ(hash_of_nobody({}).substr(0, 7), "$2y$10$");
}

TEST(Htpasswd, WhoIsWho) {
  const auto folder = sys::TempDir::make("/tmp", "htpasswd");
  const std::string path = folder->path() + "/users";
  ASSERT_TRUE(sys::replace_file(path, "alice:" + hash_of("secret") + "\n", 0600));
  const auto users = Htpasswd::load(path);
  ASSERT_TRUE(users) << users.error().message();
  for (int i = 0; i < 2; ++i) {  // the second time from memory
    EXPECT_EQ(*(*users)->user_of(header("YWxpY2U6c2VjcmV0"), "192.0.2.1", {}), "alice");
    EXPECT_EQ(*(*users)->user_of(header("YWxpY2U6d3Jvbmc="), "192.0.2.1", {}), std::nullopt);
    EXPECT_EQ(*(*users)->user_of(header("Ym9iOnNlY3JldA=="), "192.0.2.1", {}), std::nullopt);
    EXPECT_EQ(*(*users)->user_of("", "192.0.2.1", {}), std::nullopt);
  }
}

TEST(Htpasswd, AFileWithoutUsersIsAnError) {
  const auto folder = sys::TempDir::make("/tmp", "htpasswd");
  const std::string path = folder->path() + "/users";
  EXPECT_FALSE(Htpasswd::load(path));
  ASSERT_TRUE(sys::replace_file(path, "# nobody\n", 0600));
  EXPECT_FALSE(Htpasswd::load(path));
}

}  // namespace
}  // namespace slipway::distribution
