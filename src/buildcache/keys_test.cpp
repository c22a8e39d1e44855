#include "buildcache/keys.hpp"

#include <gtest/gtest.h>

// What buildkitd 0.31 computed for a Dockerfile, as its cache debugger (--save-cache-debug) tells it.
namespace slipway::buildcache {
namespace {

constexpr const char* kPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

Exec run(std::string command, std::vector<std::string> environment, std::string directory, std::string user = "") {
  environment.insert(environment.begin(), kPath);
  Exec exec;
  exec.arguments = {"/bin/sh", "-c", std::move(command)};
  exec.environment = std::move(environment);
  exec.directory = std::move(directory);
  exec.user = std::move(user);
  return exec;
}

TEST(BuildkitKeys, Exec) {
  const auto two = exec_digest(run("echo two", {"X=1", "B=two", "A=3"}, "/work"));
  EXPECT_EQ(two.text(), "sha256:5ed180f87729b1243c6f59df2b04284d1919b9a33422f3a21f05886f78f99376");
  EXPECT_EQ(output_key(two).text(), "sha256:056308beaaae1aa331cf4a719d998a94c6fb982da466e6a2a73c36fa185d1532");
  EXPECT_EQ(exec_digest(run("true", {}, "/w2", "app")).text(),
            "sha256:42a8a86efdcd5ea5a840aa8e901e359f886998e3f77495d52a005c958092f56a");
  EXPECT_EQ(output_key(exec_digest(run("echo \"hi <&>\" > out && cat a.txt >> out", {"X=1", "A=1", "B=two"}, "/work")))
                .text(),
            "sha256:850edfd0a4614b7c461c63be693e9cfdbed937222e48ba3162f9698ebcd2fe05");
  EXPECT_EQ(mount_selector("/"), "sha256:8a5edab282632443219e051e4ade2d1d5bbc671c781051bf1437897cbdfea0f1");
}

TEST(BuildkitKeys, Copy) {
  const CopyAction a{.source = "/a.txt", .target = "/work/", .owner = std::nullopt, .chmod = ""};
  const CopyAction b{.source = "/b.txt", .target = "/work/", .owner = std::nullopt, .chmod = ""};
  EXPECT_EQ(copy_digest({a, b}, true, 2).text(),
            "sha256:2352f36f9b2342efb89ea5c2d0a6923ea7d8938eb664a30aed08420ee2d4f708");
  EXPECT_EQ(copy_digest({{.source = "/work/src", .target = "/s", .owner = Owner::parse("app:1001", 0), .chmod = "640"}},
                        true, 2)
                .text(),
            "sha256:24479b8e6df06028bcd9a9aa051011adbed453d8c051c9d6bb3f08d659964c6c");
  EXPECT_EQ(copy_digest({{.source = "/", .target = "/all", .owner = std::nullopt, .chmod = ""}}, true, 2).text(),
            "sha256:50767f2d8b42ee91ff5cb54a40c1ac9d2bc6eeb01c0177bd74e6864f50376727");
  EXPECT_EQ(
      copy_digest({{.source = "/EOF", .target = "/x/y", .owner = std::nullopt, .chmod = "", .document = true}}, true, 2)
          .text(),
      "sha256:5ebd3decfe3a6fa221810743931860d8dd2240257613f7f33c474af2ad853164");
  EXPECT_EQ(document_digest("/EOF", 0644, "hello\n").text(),
            "sha256:2792bfc8187c0fa81d2d5d2277dcc9fad49758c6120a4fa811fe0e7c7b32c7ba");
  EXPECT_EQ(paths_selector({"/a.txt", "/b.txt"}),
            "sha256:0ffaed2b566100ca06beeb83799a56fc87d269087db375facd80d8bbb8d4cd10");
  EXPECT_EQ(paths_selector({"/work/out"}), "sha256:260e8b9a1c557226f6d9a85c5d5bdba7626c98aed8279cbeabcb09cccc4805e5");
}

TEST(BuildkitKeys, Workdir) {
  EXPECT_EQ(workdir_digest("/w2", Owner::parse("app", 0), std::nullopt, true).text(),
            "sha256:03fce10dd9d1cdfd0ac2e4b8d50bdf3064a5916dd11ee8eb2e7100a23bc28526");
}

TEST(BuildkitKeys, Images) {
  const auto target =
      oci::Digest::parse("sha256:7d867571c90ed5ff5b8c9f2d4b7c45eaa70739572c7a2a831333922431bbaa0a").value();
  const auto diff =
      oci::Digest::parse("sha256:d911667c45a4861e369acab54f1ea1854757a0c2ac89136b67d284220dfb492a").value();
  EXPECT_EQ(image_by_manifest(target, {}).text(),
            "sha256:79e6f41f23c58a4961d225cc0c52bf5799b749c7e8d7ec2f87e78fd24c3650dc");
  EXPECT_NE(image_by_layers(oci::ChainId::first({diff})), image_by_manifest(target, {}));
}

TEST(BuildkitKeys, Sums) {
  const FileHead nine{.mode = 0644, .size = 9, .link = "", .xattrs = {}};
  const auto file = oci::Digest::of(nine.text() + "hi <&>\na\n");
  EXPECT_EQ(file.text(), "sha256:450041c14bd36ff94118a825522bbeaf7c7848adaade4d9da10b166616981feb");
  const auto content = content_of({file});
  EXPECT_EQ(content.text(), "sha256:58b2ded5247ff2c55ddd5d8f88030a55a9f39c16f569af5428ae10e54060fd37");
  EXPECT_EQ(content_key(content).text(), "sha256:07f3ea0b9495d65fc663960b7db9061583b5dbf47dd423c1657323ece060b376");

  const auto directory = oci::Digest::of(FileHead{.type = '5', .mode = 0755, .link = "", .xattrs = {}}.text());
  EXPECT_EQ(directory.text(), "sha256:1a2805521573cb10d73bcd51d16bfa84c8f461d68599740e35484b90b2ab1bab");
  const auto link = oci::Digest::of(FileHead{.type = '2', .mode = 0777, .link = "f", .xattrs = {}}.text());
  const auto f = oci::Digest::of(FileHead{.mode = 0644, .size = 2, .link = "", .xattrs = {}}.text() + "s\n");
  ListSum sub;
  sub.add(std::string_view("\0", 1), directory);
  sub.add(std::string_view("\0f", 2), f);
  sub.add(std::string_view("\0l", 2), link);
  EXPECT_EQ(sub.finish().text(), "sha256:889b034901c3331e3262e0181047ed1d851171fa304897ef8ad8d93f46c7b3d1");
  EXPECT_TRUE(counts_in_sum("user.x") && counts_in_sum("security.capability") && !counts_in_sum("security.selinux"));
}

TEST(BuildkitKeys, WhatIsLeftOutIsLeftOut) {
  const Exec plain = run("x", {}, "/");
  Exec other = plain;
  other.mounts.push_back({.type = ExecMount::Type::kCache, .target = "/c", .id = "//c"});
  const auto with = exec_digest(other);
  EXPECT_NE(with, exec_digest(plain)) << "a mount counts";
  other.mounts[0].id = "/mine";
  const auto named = exec_digest(other);
  other.mounts[0].id = "/yours";
  EXPECT_EQ(named, exec_digest(other)) << "a cache's own name does not";
  EXPECT_NE(named, with);
}

}  // namespace
}  // namespace slipway::buildcache
