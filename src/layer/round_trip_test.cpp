// Laws over random trees, and other programs as independent readers and writers.
#include <gmock/gmock.h>

#include "layer/archive_testing.hpp"
#include "layer/random_tree_testing.hpp"
#include "sys/child.hpp"

namespace slipway::layer {
namespace {

using testing::append_to;
using testing::RandomTree;
using testing::Root;
using testing::tree_of;
using testing::unpack_into;

constexpr int kEntries = 120;

std::string tar_of(int root) {
  std::string bytes;
  const auto written = write_changes(root, {}, append_to(bytes), {}, Cancel());
  EXPECT_TRUE(written) << written.error().message();
  if (written) {
    EXPECT_EQ(written->diff_id.digest, oci::Digest::of(bytes));
    EXPECT_EQ(written->plain_bytes, static_cast<std::int64_t>(bytes.size()));
  }
  return bytes;
}

/// Runs a program with `input`; skips the test when it is not there.
std::optional<std::string> run(std::vector<std::string> argv, std::string_view input) {
  const auto output = sys::run({.argv = std::move(argv), .environment = {"PATH=/usr/bin:/bin", "LC_ALL=C"}}, input,
                               Cancel(), 60'000, 1 << 28);
  if (!output) return std::nullopt;
  EXPECT_TRUE(output->status.ok()) << output->status.text() << output->err;
  return output->out;
}

class RoundTrip : public ::testing::TestWithParam<unsigned> {};
INSTANTIATE_TEST_SUITE_P(Seeds, RoundTrip, ::testing::Range(1U, 5U));

TEST_P(RoundTrip, UntarOfTarIsTheTree) {
  const Root tree, copy;
  RandomTree(tree.path, GetParam()).make(kEntries);
  const std::string bytes = tar_of(tree.fd.get());
  const auto unpacked = unpack_into(copy.fd.get(), bytes);
  ASSERT_TRUE(unpacked) << unpacked.error().message();
  EXPECT_EQ(tree_of(copy.path), tree_of(tree.path));
  EXPECT_EQ(tar_of(copy.fd.get()), bytes);
  std::string merged;
  ASSERT_TRUE(write_merged({tree.fd.get()}, append_to(merged), Cancel()));
  EXPECT_EQ(merged, bytes);
}

TEST_P(RoundTrip, MembersAreSortedAndParentsStandInFront) {
  const Root tree;
  RandomTree(tree.path, GetParam()).make(kEntries);
  std::vector<std::string> paths;
  for (std::string path : testing::members_of(tar_of(tree.fd.get()))) {
    path = path.substr(0, path.find(" -> "));
    if (path.ends_with('/')) path.pop_back();
    paths.push_back(path);
  }
  EXPECT_TRUE(std::is_sorted(paths.begin(), paths.end()));
  for (const auto& path : paths) {
    if (!path.contains('/')) continue;
    EXPECT_TRUE(std::binary_search(paths.begin(), paths.end(), path.substr(0, path.rfind('/')))) << path;
  }
}

TEST_P(RoundTrip, GnuTarReadsOurs) {
  const Root tree, copy;
  RandomTree(tree.path, GetParam()).make(kEntries);
  if (!run({"tar", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf", "-", "-C", copy.path},
           tar_of(tree.fd.get())))
    GTEST_SKIP() << "no tar program";
  EXPECT_EQ(tree_of(copy.path), tree_of(tree.path));
}

TEST_P(RoundTrip, WeReadGnuTars) {
  for (const auto* format : {"gnu", "pax", "oldgnu"}) {
    const Root tree, copy;
    RandomTree(tree.path, GetParam()).make(kEntries);
    std::vector<std::string> argv = {"tar", "--format", format, "--numeric-owner", "-cf", "-", "-C", tree.path, "."};
    if (std::string_view(format) == "pax") argv.insert(argv.begin() + 1, "--xattrs");
    const auto bytes = run(argv, "");
    if (!bytes) GTEST_SKIP() << "no tar program";
    const auto unpacked = unpack_into(copy.fd.get(), *bytes);
    ASSERT_TRUE(unpacked) << format << unpacked.error().message();
    auto expected = tree_of(tree.path);
    if (std::string_view(format) != "pax")  // can not hold attributes
      for (auto& [path, text] : expected) text = text.substr(0, text.find(" user.test="));
    EXPECT_EQ(tree_of(copy.path), expected) << format;
  }
}

TEST_P(RoundTrip, WeReadPythonsTars) {
  for (const auto* format : {"tarfile.GNU_FORMAT", "tarfile.PAX_FORMAT"}) {
    const Root tree, copy;
    RandomTree(tree.path, GetParam()).make(kEntries);
    const std::string program = fmt::format(
        "import "
        "sys,tarfile\nt=tarfile.open(fileobj=sys.stdout.buffer,mode='w|',format={},errors='surrogateescape')\nt.add("
        "sys.argv[1],arcname='.')\nt.close()",
        format);
    const auto bytes = run({"python3", "-c", program, tree.path}, "");
    if (!bytes) GTEST_SKIP() << "no python3";
    const auto unpacked = unpack_into(copy.fd.get(), *bytes);
    ASSERT_TRUE(unpacked) << format << unpacked.error().message();
    auto expected = tree_of(tree.path);
    for (auto& [path, text] : expected) text = text.substr(0, text.find(" user.test="));
    EXPECT_EQ(tree_of(copy.path), expected) << format;
  }
}

TEST(RoundTripSparse, EveryFormOfGnuTar) {
  const Root tree;
  const auto file = *sys::open(tree.path + "/sparse", O_WRONLY | O_CREAT, 0644);
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(sys::write_all_at(file.get(), "data" + std::to_string(i), i * 1'000'000));
  ASSERT_EQ(::ftruncate(file.get(), 100'000'000), 0);
  const auto expected = oci::Digest::of(testing::content_of(tree.path + "/sparse"));
  for (const std::vector<std::string>& form : {std::vector<std::string>{"--format=gnu"},
                                               {"--format=pax", "--sparse-version=0.0"},
                                               {"--format=pax", "--sparse-version=0.1"},
                                               {"--format=pax", "--sparse-version=1.0"}}) {
    std::vector<std::string> argv = {"tar", "-S", "-cf", "-", "-C", tree.path};
    argv.insert(argv.begin() + 1, form.begin(), form.end());
    argv.emplace_back("sparse");
    const auto bytes = run(argv, "");
    if (!bytes) GTEST_SKIP() << "no tar program";
    ASSERT_LT(bytes->size(), 2'000'000U) << "tar found no holes on this file system";
    const Root copy;
    const auto unpacked = unpack_into(copy.fd.get(), *bytes);
    ASSERT_TRUE(unpacked) << unpacked.error().message();
    EXPECT_EQ(oci::Digest::of(testing::content_of(copy.path + "/sparse")), expected) << form.back();
    EXPECT_LT((*sys::lstat_at(AT_FDCWD, copy.path + "/sparse"))->st_blocks, 4000) << form.back();
  }
}

}  // namespace
}  // namespace slipway::layer
