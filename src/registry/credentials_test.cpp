#include "registry/credentials.hpp"

#include <gtest/gtest.h>
#include <signal.h>

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
    return CredentialStore::load(environment()).value().find(registry).value();
  }
  const sys::TempDir home = sys::TempDir::make("/tmp", "slipway-credentials-").value();
  const std::string path = home.path() + "/.docker/config.json";
  std::map<std::string, std::string> variables = {{"HOME", home.path()}};
};

TEST_F(Credentials, NoFileKnowsNobody) {
  EXPECT_FALSE(find("docker.io"));
  EXPECT_FALSE(CredentialStore().find("docker.io").value());
}

TEST_F(Credentials, ReadsTheFormsThatDockerWrites) {
  write(R"({"auths": {
    "https://index.docker.io/v1/": {"auth": "am9lOnMzY3JldA=="},
    "127.0.0.1:5000": {"username": "ann", "password": "a:b"},
    "https://Quay.example/v2/": {"auth": "PHRva2VuPjo=", "identitytoken": "idt"},
    "ghcr.example/team": {"auth": "am9lOnMzY3JldA=="},
    "empty.example": {}
  }})");
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
  EXPECT_EQ(find("a.example")->kept_in, "DOCKER_AUTH_CONFIG") << "a login would not change it";
  EXPECT_EQ(find("b.example")->kept_in, "");
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
  EXPECT_EQ(save_login(environment(), "docker.io", {"joe", "s3cret", ""}).value().path, path);
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

/// A helper in a folder of its own that keeps its one credential in a file and notes how it was called.
class Helpers : public Credentials {
 protected:
  void SetUp() override { ::signal(SIGPIPE, SIG_IGN); }  // as the program has it: helpers need not read
  void install(const std::string& name, const std::string& script) {
    ASSERT_TRUE(sys::make_directories(home.path() + "/bin", 0700));
    const std::string file = home.path() + "/bin/docker-credential-" + name;
    ASSERT_TRUE(sys::replace_file(file, "#!/bin/sh\n" + script, 0700));
    variables["PATH"] = "bin::" + home.path() + "/bin:/usr/bin:/bin";
  }
  void install_keeper() {
    install("keeper",
            "cd '" + home.path() +
                "'\necho \"$1\" >>calls\n"
                "case $1 in\n"
                "get) read server; [ -f kept ] && cat kept || { echo credentials not found in native keychain; "
                "exit 1; } ;;\n"
                "store) cat >kept ;;\n"
                "erase) rm kept ;;\nesac\n");
  }
  Result<std::optional<Credential>> try_find(const std::string& registry) {
    return CredentialStore::load(environment(), {"PATH=/usr/bin:/bin"}).value().find(registry);
  }
};

TEST_F(Helpers, AskedForTheRegistriesThatNameThem) {
  install("a", R"(read server; echo "{\"ServerURL\":\"$server\",\"Username\":\"<token>\",\"Secret\":\"of $server\"}")");
  install("b", R"(echo '{"Username":"joe","Secret":"s3cret"}')");
  write(R"({"credHelpers": {"a.example": "a", "docker.io": "a"}, "credsStore": "b",
            "auths": {"a.example": {"auth": "am9lOnMzY3JldA=="}}})");
  EXPECT_EQ(find("a.example")->identity_token, "of a.example");
  EXPECT_EQ(find("a.example")->password, "");
  EXPECT_EQ(find("docker.io")->identity_token, "of https://index.docker.io/v1/");
  EXPECT_EQ(find("other.example")->password, "s3cret");
}

TEST_F(Helpers, AnEmptyNameIsNoneInPlaceOfCredsStore) {
  write(
      R"({"credHelpers": {"a.example": ""}, "credsStore": "missing", "auths": {"a.example": {"auth": "am9lOnMzY3JldA=="}}})");
  EXPECT_EQ(find("a.example")->password, "s3cret");
  EXPECT_FALSE(try_find("b.example"));
}

TEST_F(Helpers, LoginStoresAndLogoutErases) {
  install_keeper();
  write(R"({"credsStore": "keeper"})");
  EXPECT_FALSE(find("a.example"));
  const auto saved = save_login(environment(), "a.example", {"joe", "s3cret\"<>", ""});
  ASSERT_TRUE(saved) << saved.error().message();
  EXPECT_EQ(saved->helper, "docker-credential-keeper");
  EXPECT_EQ(content().find("s3cret"), std::string::npos);
  EXPECT_NE(content().find("\"a.example\": {}"), std::string::npos) << content();
  EXPECT_EQ(find("a.example")->password, "s3cret\"<>");
  EXPECT_TRUE(remove_login(environment(), "a.example").value());
  EXPECT_FALSE(find("a.example"));
  EXPECT_EQ(content().find("a.example"), std::string::npos);
}

TEST_F(Helpers, AnEntryOfTheFileFillsUp) {
  install_keeper();
  write(R"({"credsStore": "keeper", "auths": {"a.example": {"auth": "am9lOnMzY3JldA=="}}})");
  EXPECT_EQ(find("a.example")->password, "s3cret");
}

TEST_F(Helpers, NamesThatAreNoneAreRefused) {
  for (const char* name : {"../evil", "/bin/sh", "a/b", "", ".", "-x", "a b", "a;b", "\x1b[31m"}) {
    write(fmt::format(R"({{"credHelpers": {{"a.example": "{}"}}}})", *name == '\x1b' ? "\\u001b[31m" : name));
    const auto found = try_find("a.example");
    if (*name == '\0') {
      EXPECT_TRUE(found) << "an empty name is none";
      continue;
    }
    ASSERT_FALSE(found) << name;
    EXPECT_EQ(found.error().code(), Code::kInvalidArgument) << name;
    EXPECT_EQ(found.error().message().find('\x1b'), std::string::npos);
  }
}

TEST_F(Helpers, AMissingOneIsAnErrorAndRelativeFoldersAreNotSearched) {
  install_keeper();
  write(R"({"credsStore": "keeper"})");
  variables["PATH"] = "bin:.:";
  const auto found = try_find("a.example");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code(), Code::kNotFound);
}

TEST_F(Helpers, AFailureIsToldAndASecretIsNot) {
  install("bad", "echo 'no bus' >&2; echo '{\"Secret\":\"hunter2\"}'; exit 3");
  write(R"({"credsStore": "bad"})");
  auto found = try_find("a.example");
  ASSERT_FALSE(found);
  EXPECT_NE(found.error().message().find("no bus"), std::string::npos) << found.error().message();
  EXPECT_EQ(found.error().message().find("hunter2"), std::string::npos) << found.error().message();
  install("bad", "echo 'hunter2'");
  found = try_find("a.example");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().message().find("hunter2"), std::string::npos) << found.error().message();
  install("bad", "exec head -c 10000000 /dev/zero");
  found = try_find("a.example");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code(), Code::kOutOfRange);
}

TEST_F(Helpers, ACancelEndsOneThatHangs) {
  install("slow", "exec sleep 1000");
  write(R"({"credsStore": "slow"})");
  const auto store = CredentialStore::load(environment(), {"PATH=/usr/bin:/bin"}).value();
  CancelSource source;
  source.fire("enough");
  EXPECT_EQ(store.find("a.example", source.cancel()).error().code(), Code::kCancelled);
}

TEST_F(Credentials, LoginLeavesABrokenFileAlone) {
  write("{\"auths\": []}");
  EXPECT_FALSE(save_login(environment(), "a.example", {"joe", "s3cret", ""}));
  EXPECT_EQ(content(), "{\"auths\": []}");
}

}  // namespace
}  // namespace slipway::registry
