#include "registry/credentials.hpp"

#include <gtest/gtest.h>

#include <map>

#include "registry/base64.hpp"
#include "sys/file.hpp"

namespace slipway::registry {
namespace {

class Credentials : public testing::Test {
 protected:
  Environment environment() {
    return [this](const std::string& name) -> std::optional<std::string> {
      const auto found = variables.find(name);
      if (found == variables.end()) return std::nullopt;
      return found->second;
    };
  }
  void write(const std::string& text) {
    ASSERT_TRUE(sys::make_directories(home.path() + "/.docker", 0700));
    ASSERT_TRUE(sys::replace_file(path, text, 0600));
  }
  std::string content() { return sys::read_file(path, 1 << 20).value(); }
  std::optional<Credential> find(const std::string& registry) {
    return CredentialStore::load(environment()).value().find(registry);
  }
  const sys::TempDir home = sys::TempDir::make("/tmp", "slipway-credentials-").value();
  const std::string path = home.path() + "/.docker/config.json";
  std::map<std::string, std::string> variables = {{"HOME", home.path()}};
};

TEST_F(Credentials, NoFileKnowsNobody) {
  EXPECT_FALSE(find("docker.io"));
  EXPECT_FALSE(CredentialStore().find("docker.io"));
}

TEST_F(Credentials, ReadsTheFormsThatDockerWrites) {
  write(R"({"auths": {
    "https://index.docker.io/v1/": {"auth": "am9lOnMzY3JldA=="},
    "127.0.0.1:5000": {"username": "ann", "password": "a:b"},
    "https://Quay.example/v2/": {"auth": "PHRva2VuPjo=", "identitytoken": "idt"},
    "ghcr.example/team": {"auth": "am9lOnMzY3JldA=="},
    "empty.example": {}
  }, "credsStore": "desktop"})");
  EXPECT_EQ(find("docker.io")->username, "joe");
  EXPECT_EQ(find("docker.io")->password, "s3cret");
  EXPECT_EQ(find("127.0.0.1:5000")->password, "a:b");
  EXPECT_EQ(find("quay.example")->identity_token, "idt");
  EXPECT_FALSE(find("ghcr.example")) << "a namespace's credential is not the host's";
  EXPECT_FALSE(find("empty.example"));
  EXPECT_FALSE(find("127.0.0.1:5001"));
}

TEST_F(Credentials, TheVariableWinsAndTheFileFillsUp) {
  write(
      R"({"auths": {"a.example": {"username": "file", "password": "x"}, "b.example": {"username": "file", "password": "x"}}})");
  variables["DOCKER_AUTH_CONFIG"] = R"({"auths": {"a.example": {"username": "variable", "password": "y"}}})";
  EXPECT_EQ(find("a.example")->username, "variable");
  EXPECT_EQ(find("b.example")->username, "file");
}

TEST_F(Credentials, DockerConfigNamesADirectory) {
  variables["DOCKER_CONFIG"] = home.path() + "/.docker";
  variables.erase("HOME");
  write(R"({"auths": {"a.example": {"username": "u", "password": "x"}}})");
  EXPECT_TRUE(find("a.example"));
}

TEST_F(Credentials, ABrokenFileIsNamedAndItsSecretsAreNot) {
  write(R"({"auths": {"a.example": {"auth": "hunter2!"}}})");
  const auto store = CredentialStore::load(environment());
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().message().find("config.json"), std::string::npos) << store.error().message();
  EXPECT_EQ(store.error().message().find("hunter2"), std::string::npos) << store.error().message();
  write("{");
  EXPECT_FALSE(CredentialStore::load(environment()));
}

TEST_F(Credentials, LoginKeepsEverythingElse) {
  write(R"({"HttpHeaders": {"X": "1"}, "auths": {"b.example": {"auth": "am9lOnMzY3JldA=="}}, "psFormat": "a<b"})");
  EXPECT_EQ(save_login(environment(), "docker.io", {"joe", "s3cret", ""}).value(), path);
  EXPECT_EQ(content(),
            "{\n\t\"HttpHeaders\": {\n\t\t\"X\": \"1\"\n\t},\n\t\"auths\": {\n\t\t\"b.example\": {\n\t\t\t\"auth\": "
            "\"am9lOnMzY3JldA==\"\n\t\t},\n\t\t\"https://index.docker.io/v1/\": {\n\t\t\t\"auth\": "
            "\"am9lOnMzY3JldA==\"\n\t\t}\n\t},\n\t\"psFormat\": \"a<b\"\n}\n");
  EXPECT_EQ(find("docker.io")->password, "s3cret");
  struct stat facts{};
  ASSERT_EQ(::stat(path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 07777, 0600U);
}

TEST_F(Credentials, LoginMakesTheFileAndLogoutRemovesTheEntry) {
  ASSERT_TRUE(save_login(environment(), "127.0.0.1:5000", {"joe", "s3cret", "idt"}));
  EXPECT_EQ(find("127.0.0.1:5000")->identity_token, "idt");
  EXPECT_TRUE(remove_login(environment(), "127.0.0.1:5000").value());
  EXPECT_FALSE(remove_login(environment(), "127.0.0.1:5000").value());
  EXPECT_FALSE(find("127.0.0.1:5000"));
}

TEST_F(Credentials, ALinkedFileStaysALink) {
  ASSERT_TRUE(sys::make_directories(home.path() + "/.docker", 0700));
  ASSERT_TRUE(sys::replace_file(home.path() + "/dotfile", "{}", 0600));
  ASSERT_EQ(::symlink("../dotfile", path.c_str()), 0);
  ASSERT_TRUE(save_login(environment(), "a.example", {"joe", "s3cret", ""}));
  struct stat facts{};
  ASSERT_EQ(::lstat(path.c_str(), &facts), 0);
  EXPECT_TRUE(S_ISLNK(facts.st_mode));
  EXPECT_TRUE(find("a.example"));
}

TEST_F(Credentials, LoginLeavesABrokenFileAlone) {
  write("{\"auths\": []}");
  EXPECT_FALSE(save_login(environment(), "a.example", {"joe", "s3cret", ""}));
  EXPECT_EQ(content(), "{\"auths\": []}");
}

}  // namespace
}  // namespace slipway::registry
