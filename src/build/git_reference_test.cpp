#include "build/git_reference.hpp"

#include <gtest/gtest.h>

namespace slipway::build {
namespace {

const std::string kCommit(40, 'a');

GitReference parsed(const std::string& text) {
  EXPECT_TRUE(GitReference::names_one(text)) << text;
  auto git = GitReference::parse(text);
  EXPECT_TRUE(git) << (git ? "" : git.error().what());
  return git ? *git : GitReference{};
}

std::string refusal(const std::string& text) {
  auto git = GitReference::parse(text);
  return git ? "accepted" : git.error().what();
}

TEST(GitReferenceTest, TellsRepositoriesFromFilesAndPaths) {
  for (const auto* text : {"https://host/a.git", "http://host:8080/a.git#v1", "git://host/a", "ssh://git@host:22/a",
                           "git@host:team/app", "me@host:a.git#main:docs", "https://host/a.git?ref=main"})
    EXPECT_TRUE(GitReference::names_one(text)) << text;
  for (const auto* text : {"https://host/a.tar.gz", "https://host/a?x=.git", "a.git", "./git@host:a", "../git@host:a",
                           "@host:a", "git@:a", "/abs/git@host:a", "C:\\a.git", "-u@host:a", "file:///a.git", ""})
    EXPECT_FALSE(GitReference::names_one(text)) << text;
}

TEST(GitReferenceTest, FragmentGivesRefAndFolder) {
  const auto git = parsed("https://HOST/Team/app.git#v1:docs/in");
  EXPECT_EQ("https://host/Team/app.git", git.remote);
  EXPECT_EQ("https://host", git.origin);
  EXPECT_EQ("v1", git.ref);
  EXPECT_EQ("docs/in", git.subdir);
  EXPECT_EQ("", parsed("git@host:a.git#:docs").ref);
  EXPECT_EQ("git@host:a.git", parsed("git@host:a.git#:docs").remote);
  EXPECT_EQ("ssh", parsed("git@host:a.git").scheme);
}

TEST(GitReferenceTest, QueryGivesTheSame) {
  const auto git = parsed("https://h/a.git?branch=main&subdir=a%2Fb&submodules=0&keep-git-dir&checksum=abcdef1");
  EXPECT_EQ("refs/heads/main", git.ref);
  EXPECT_EQ("a/b", git.subdir);
  EXPECT_EQ(false, git.submodules);
  EXPECT_EQ(true, git.keep_git_dir);
  EXPECT_EQ("abcdef1", git.checksum);
  EXPECT_EQ("refs/tags/v1", parsed("https://h/a.git?tag=v1").ref);
  EXPECT_EQ("refs/tags/v1", parsed("https://h/a.git?tag=refs/tags/v1").ref);
  EXPECT_EQ(kCommit, parsed("https://h/a.git?commit=" + kCommit).ref);
  EXPECT_EQ("v1", parsed("https://h/a.git?ref=v1#v1").ref);
}

TEST(GitReferenceTest, QueryErrors) {
  EXPECT_EQ("unexpected query \"x\"", refusal("https://h/a.git?x=1"));
  EXPECT_EQ("query \"ref\" has no value", refusal("https://h/a.git?ref="));
  EXPECT_EQ("query \"ref\" has multiple values", refusal("https://h/a.git?ref=a&ref=b"));
  EXPECT_EQ("ref conflicts: \"v1\" vs \"v2\"", refusal("https://h/a.git?ref=v2#v1"));
  EXPECT_EQ("branch conflicts with tag", refusal("https://h/a.git?branch=a&tag=b"));
  EXPECT_EQ("invalid submodules value: \"maybe\"", refusal("https://h/a.git?submodules=maybe"));
  EXPECT_NE("accepted", refusal("https://h/a.git?ref=%zz"));
  EXPECT_NE("accepted", refusal("https://h/a.git?checksum=abc"));
}

TEST(GitReferenceTest, NothingBecomesAnOptionOrARefspec) {
  for (const std::string ref : {"-q", "--upload-pack=x", "a..b", "a b", "a:b?ref=x", "a\nb", "a~1", "a^{}", "+a", "/a",
                                "a/", "a.lock", "@{u}", "*", ".a", "a//b", "a/.b"})
    EXPECT_NE("accepted", refusal("https://h/a.git?ref=" + ref)) << ref;
  for (const auto* text :
       {"ssh://-oProxyCommand=x/a", "ssh://host", "ssh://h:99999/a", "ssh://-u@host/a", "git://host/a b", "git@-host:a",
        "git@host:-a", "https://user:pw@host/a.git", "ext::sh -c x"})
    EXPECT_NE("accepted", refusal(text)) << text;
}

TEST(GitReferenceTest, Commits) {
  EXPECT_TRUE(is_commit(kCommit));
  EXPECT_TRUE(is_commit(std::string(64, '0')));
  EXPECT_FALSE(is_commit(std::string(40, 'A')));
  EXPECT_FALSE(is_commit("abc"));
  EXPECT_TRUE(check_git_checksum("0123abc"));
  EXPECT_FALSE(check_git_checksum("0123ab"));
}

}  // namespace
}  // namespace slipway::build
