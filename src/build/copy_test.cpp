#include "build/copy.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "build/tree_sum.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

/// Two snapshots' worth of folders: `context`, and `lower` with the fresh layer `upper` over it.
const struct stat kNothing{};

struct CopyTest : testing::Test {
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "ownership can only be set by root";
    for (const auto* name : {"context", "lower", "upper"}) mkdir(name);
  }
  std::string path(const std::string& name) const { return dir.path() + "/" + name; }
  void mkdir(const std::string& name) { ASSERT_TRUE(sys::make_directories(path(name), 0755)); }
  void write(const std::string& name, const std::string& content, mode_t mode = 0644) {
    ASSERT_TRUE(sys::make_directories(path(name.substr(0, name.rfind('/'))), 0755));
    ASSERT_TRUE(sys::replace_file(path(name), content, mode));
  }
  std::string read(const std::string& name) { return sys::read_file(path(name), 1 << 20).value_or("(missing)"); }
  struct stat info(const std::string& name) { return sys::lstat_at(AT_FDCWD, path(name))->value_or(kNothing); }
  Tree context() {
    return Tree(*layer::MergedDir::open_paths({path("context")}, layer::MergedDir::Kind::kPlain), filter);
  }
  Status copy(const std::vector<std::string>& patterns, const std::string& target, CopyOptions options = {}) {
    const Tree tree = context();
    std::vector<CopySource> paths;
    for (const auto& pattern : patterns)
      for (auto& found : TRY(tree.glob(pattern))) paths.emplace_back(std::move(found), selection);
    Destination destination = TRY(Destination::open(path("upper"), {path("lower")}));
    return destination.copy(tree, paths, target, options, Cancel());
  }
  void exclude(const std::vector<std::string>& patterns) {
    selection.excludes = std::make_shared<const dockerfile::Matcher>(*dockerfile::Matcher::from_patterns(patterns));
  }
  std::optional<Filter> filter;
  Selection selection;
  sys::TempDir dir = *sys::TempDir::make("/tmp", "slipway-copy-");
};

TEST_F(CopyTest, AFileGoesToANameOrIntoADirectory) {
  write("context/a", "A", 0640);
  mkdir("lower/there");
  ASSERT_TRUE(copy({"a"}, "/x"));
  ASSERT_TRUE(copy({"a"}, "/new/dir/"));
  ASSERT_TRUE(copy({"a"}, "/there"));
  EXPECT_EQ(read("upper/x") + read("upper/new/dir/a") + read("upper/there/a"), "AAA");
  EXPECT_EQ(info("upper/x").st_mode & 07777, 0640u);
  EXPECT_EQ(info("upper/new").st_mode & 07777, 0755u);
}

TEST_F(CopyTest, ADirectoryGivesItsContents) {
  write("context/d/sub/f", "F");
  ASSERT_EQ(chmod(path("context/d/sub").c_str(), 0711), 0);
  ASSERT_TRUE(copy({"d"}, "/o"));
  EXPECT_EQ(read("upper/o/sub/f"), "F");
  EXPECT_EQ(info("upper/o/sub").st_mode & 07777, 0711u);
}

TEST_F(CopyTest, AnExistingDirectoryKeepsItsOwnMetadata) {
  mkdir("lower/o");
  ASSERT_EQ(chmod(path("lower/o").c_str(), 0700), 0);
  ASSERT_EQ(chown(path("lower/o").c_str(), 7, 8), 0);
  write("context/d/f", "F");
  ASSERT_TRUE(copy({"d"}, "/o"));
  EXPECT_EQ(info("upper/o").st_mode & 07777, 0700u);
  EXPECT_EQ(info("upper/o").st_uid, 7u);
}

TEST_F(CopyTest, ContextOwnersAreFlattened) {
  write("context/a", "A");
  ASSERT_EQ(chown(path("context/a").c_str(), 12, 34), 0);
  ASSERT_TRUE(copy({"a"}, "/x"));
  EXPECT_EQ(info("upper/x").st_uid, 0u);
  ASSERT_TRUE(copy({"a"}, "/deep/y", {.owner = Owner{5, 6}}));
  EXPECT_EQ(info("upper/deep/y").st_gid, 6u);
  EXPECT_EQ(info("upper/deep").st_uid, 5u);
}

TEST_F(CopyTest, TheTargetsLinkIsFollowedInsideTheRootOnly) {
  write("context/a", "A");
  write("lower/real", "old");
  ASSERT_EQ(symlink("/real", path("lower/link").c_str()), 0);
  ASSERT_EQ(symlink("../../../../../../../..", path("lower/up").c_str()), 0);
  ASSERT_TRUE(copy({"a"}, "/link"));
  EXPECT_EQ(read("upper/real"), "A");
  ASSERT_TRUE(copy({"a"}, "/up/escaped"));
  EXPECT_EQ(read("upper/escaped"), "A");
}

TEST_F(CopyTest, EntriesReplaceLinksAndRefuseOtherKinds) {
  write("context/d/f", "F");
  mkdir("lower/o");
  ASSERT_EQ(symlink("/etc/passwd", path("lower/o/f").c_str()), 0);
  ASSERT_TRUE(copy({"d"}, "/o"));
  EXPECT_EQ(read("upper/o/f"), "F");
  EXPECT_TRUE(S_ISREG(info("upper/o/f").st_mode));

  write("lower/file", "x");
  EXPECT_EQ(copy({"d"}, "/file").error().what(), "cannot copy to non-directory: /file");
  mkdir("lower/p/f");
  EXPECT_EQ(copy({"d"}, "/p").error().what(), "cannot replace the directory /p/f with a file");
}

TEST_F(CopyTest, HardLinksStayLinksAndHolesStayHoles) {
  write("context/d/a", "A");
  ASSERT_EQ(link(path("context/d/a").c_str(), path("context/d/b").c_str()), 0);
  const sys::Fd sparse = *sys::open(path("context/d/sparse"), O_WRONLY | O_CREAT, 0644);
  ASSERT_EQ(ftruncate(sparse.get(), 64 << 20), 0);
  ASSERT_TRUE(copy({"d"}, "/o"));
  EXPECT_EQ(info("upper/o/a").st_ino, info("upper/o/b").st_ino);
  EXPECT_EQ(info("upper/o/sparse").st_size, 64 << 20);
  EXPECT_LT(info("upper/o/sparse").st_blocks, 1000);
}

TEST_F(CopyTest, SpecialFilesNeverHang) {
  mkdir("context/d");
  ASSERT_EQ(mkfifo(path("context/d/fifo").c_str(), 0600), 0);
  ASSERT_TRUE(copy({"d"}, "/o"));
  EXPECT_TRUE(S_ISFIFO(info("upper/o/fifo").st_mode));
}

TEST_F(CopyTest, IgnoredPathsAreNotThereAndReincludedOnesAre) {
  write("context/node_modules/x", "no");
  write("context/node_modules/keep", "yes");
  write("context/src", "src");
  filter =
      Filter{.excluded = [](const std::string& p) { return p.starts_with("node_modules") && p != "node_modules/keep"; },
             .prunable = [](const std::string&) { return false; }};
  ASSERT_TRUE(copy({"."}, "/app/"));
  EXPECT_EQ(read("upper/app/node_modules/keep"), "yes");
  EXPECT_EQ(read("upper/app/node_modules/x"), "(missing)");
  EXPECT_TRUE(context().glob("node_modules/x")->empty());
}

TEST_F(CopyTest, WildcardsMatchWithinTheContext) {
  write("context/one.txt", "1");
  write("context/two.txt", "2");
  write("context/sub/three.txt", "3");
  ASSERT_TRUE(copy({"*.txt"}, "/o/"));
  EXPECT_EQ(read("upper/o/one.txt") + read("upper/o/two.txt") + read("upper/o/three.txt"), "12(missing)");
  EXPECT_TRUE(context().glob("../../../../etc/passwd")->empty());
}

TEST_F(CopyTest, SumsSeeContentModeAndNamesButNotTimes) {
  write("context/d/a", "A");
  const auto sum = [&] { return *sum_paths(context(), {CopySource("d")}, {.owner = false}, Cancel()); };
  const auto first = sum();
  const timespec old[2] = {{1, 0}, {1, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, path("context/d/a").c_str(), old, 0), 0);
  ASSERT_EQ(chown(path("context/d/a").c_str(), 9, 9), 0);
  EXPECT_EQ(sum(), first);
  ASSERT_EQ(chmod(path("context/d/a").c_str(), 0600), 0);
  EXPECT_NE(sum(), first);
  ASSERT_EQ(chmod(path("context/d/a").c_str(), 0644), 0);
  EXPECT_EQ(sum(), first);
  write("context/d/a", "B");
  EXPECT_NE(sum(), first);
  write("context/d/a", "A");
  ASSERT_EQ(rename(path("context/d/a").c_str(), path("context/d/b").c_str()), 0);
  EXPECT_NE(sum(), first);
}

TEST_F(CopyTest, ExcludedFilesAreNeitherCopiedNorSummed) {
  write("context/d/a", "A");
  write("context/d/sub/x.log", "log");
  exclude({"**/*.log"});
  const auto sum = [&] { return *sum_paths(context(), {CopySource("d", selection)}, {.owner = false}, Cancel()); };
  const auto first = sum();
  write("context/d/sub/x.log", "more log");
  write("context/d/y.log", "");
  EXPECT_EQ(sum(), first);
  write("context/d/sub/new", "");
  EXPECT_NE(sum(), first);
  ASSERT_TRUE(copy({"d"}, "/o"));
  EXPECT_EQ(read("upper/o/a") + read("upper/o/sub/new") + read("upper/o/sub/x.log"), "A(missing)");
}

TEST_F(CopyTest, AFileThatIsNamedItselfIsNotExcluded) {  // measured: the source's root is never judged
  write("context/a1.txt", "A");
  exclude({"a*"});
  ASSERT_TRUE(copy({"a1.txt"}, "/o/"));
  EXPECT_EQ(read("upper/o/a1.txt"), "A");
}

TEST_F(CopyTest, DirectoriesOnTheWayKeepWhatTheTargetHas) {
  write("context/a/b/f", "F");
  ASSERT_EQ(chmod(path("context/a").c_str(), 0701), 0);
  ASSERT_EQ(chmod(path("context/a/b").c_str(), 0711), 0);
  mkdir("lower/o/a");
  ASSERT_EQ(chmod(path("lower/o/a").c_str(), 0750), 0);
  selection.include = std::make_shared<const Include>(*Include::parse("a/b/f"));
  ASSERT_TRUE(copy({""}, "/o"));
  EXPECT_EQ(read("upper/o/a/b/f"), "F");
  EXPECT_EQ(info("upper/o/a").st_mode & 07777, 0750u);
  EXPECT_EQ(info("upper/o/a/b").st_mode & 07777, 0711u);
}

TEST_F(CopyTest, DirectoryBoundariesCount) {
  write("context/d/x/f", "");
  mkdir("context/d/y");
  const auto first = *sum_paths(context(), {CopySource("d")}, {.owner = false}, Cancel());
  ASSERT_EQ(rename(path("context/d/x/f").c_str(), path("context/d/y/f").c_str()), 0);
  EXPECT_NE(*sum_paths(context(), {CopySource("d")}, {.owner = false}, Cancel()), first);
}

TEST(ModeChange, OctalAndSymbolic) {
  const auto apply = [](const char* text, mode_t mode) { return ModeChange::parse(text)->apply(mode); };
  EXPECT_EQ(apply("640", S_IFREG | 0777), 0640u);
  EXPECT_EQ(apply("u=rwX,go=rX", S_IFREG | 0600), 0644u);
  EXPECT_EQ(apply("u=rwX,go=rX", S_IFDIR | 0700), 0755u);
  EXPECT_EQ(apply("a+x", S_IFREG | 0644), 0755u);
  EXPECT_EQ(apply("g=u", S_IFREG | 0640), 0660u);
  EXPECT_EQ(apply("+t,u+s", S_IFDIR | 0755), 05755u);
  for (const auto* bad : {"", "8", "17777", "u", "u=q", "rw"}) EXPECT_FALSE(ModeChange::parse(bad)) << bad;
  EXPECT_EQ(ModeChange::parse("999").error().what(),
            "invalid chmod parameter: '999'. it should be octal string and between 0 and 07777");
}

TEST_F(CopyTest, AccountsComeFromTheImage) {
  write("lower/etc/passwd", "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:app:/home/app:/bin/sh\nbroken line\n");
  write("lower/etc/group", "root:x:0:\napp:x:1001:\nstaff:x:50:app\n");
  const Tree root(*layer::MergedDir::open_paths({path("lower")}), std::nullopt);
  const Account app = *resolve_user("app", root);
  EXPECT_EQ(app.uid, 1000u);
  EXPECT_EQ(app.gid, 1001u);
  EXPECT_EQ(app.groups, std::vector<std::uint32_t>{50});
  EXPECT_EQ(app.home, "/home/app");
  EXPECT_EQ(resolve_user("1000", root)->home, "/home/app");
  EXPECT_EQ(resolve_user("4242", root)->gid, 0u);
  EXPECT_EQ(resolve_user("app:staff", root)->gid, 50u);
  EXPECT_EQ(resolve_user("nobody", root).error().what(),
            "unable to find user nobody: no matching entries in passwd file");
  EXPECT_EQ(*resolve_owner("app", root), (Owner{1000, 1001}));
  EXPECT_EQ(*resolve_owner("7", root), (Owner{7, 7}));
  EXPECT_EQ(*resolve_owner(":50", root), (Owner{0, 50}));
  EXPECT_FALSE(resolve_owner("nobody", root));
}

}  // namespace
}  // namespace slipway::build
