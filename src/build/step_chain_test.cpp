// Keys as kaniko 1.24 made them: the values are those of its debug log for the same Dockerfile, context and base.
#include "build/step_chain.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/file.hpp"

namespace slipway::build {
namespace {

const std::string kBase = "sha256:3d65d0f4d13ea622b34c83687b3247e8a01abac7324f0b68c94442c88213f224";
const std::string kFile = "842b3dadd562df03786e7cd762bbaea72e47e0923e9ea3ae2999b014d14d1c84";
const std::string kDirectory = "fb270bf82c4cae6cf3cc8b6dda363c49e1f2d9e65b0d0c40c5daadf298de19bf";

std::string key(const StepChain& chain) { return chain.key(Cancel()).value().value_or("unknown"); }

TEST(StepChain, KeysAreKanikos) {
  StepChain chain = StepChain::begin(kBase);
  chain.add({"ARG V=1"});
  EXPECT_EQ(key(chain), "69d788d6380da69e211f82a69e38d791ae17adca07b775e2db79ef825bd6342e");
  chain.add({"ARG W"});
  chain.add({"ENV E=e P=$V"});
  EXPECT_EQ(key(chain), "554f37994cbc6d4804bba258e3340c729a9f2cfb4aabe40670873b1cd1544da0");
  chain.add({"LABEL a=b"});
  chain.add({"WORKDIR /w"});
  chain.add({"COPY f d /in/"}, [](const Cancel&) { return std::vector<std::string>{kFile, kDirectory}; });
  EXPECT_EQ(key(chain), "2e09189ae595bc1e7b43c798695e17c36a0d767704c166cea18414ba424a92b8");
  chain.add({"|4", "E=e", "P=1", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "V=1",
             "RUN echo one $V   && echo x > /log"});
  EXPECT_EQ(key(chain), "207aee25708de2d62c2e6214a1d9400d2343b9e919ca3b00e2129f244fb39b93");
}

TEST(StepChain, AnOpenInstructionHasNoKeyUntilItIsTold) {
  StepChain chain = StepChain::begin(kBase);
  chain.add_open({"COPY --from=one /a /a"});
  const StepChain copy = chain;
  chain.add({"RUN x"});
  EXPECT_EQ(key(chain), "unknown");
  copy.tell({"1"});
  StepChain same = StepChain::begin(kBase);
  same.add({"COPY --from=one /a /a", "1"});
  EXPECT_EQ(key(copy), key(same));
  EXPECT_NE(key(chain), "unknown");
  EXPECT_EQ(key(StepChain()), "unknown");
}

TEST(StepChain, AStageUponAStageBeginsWithItsKey) {
  StepChain one = StepChain::begin(kBase);
  one.add({"RUN x"});
  StepChain two = StepChain::begin(one);
  two.add({"RUN y"});
  StepChain plain = StepChain::begin(key(one));
  plain.add({"RUN y"});
  EXPECT_EQ(key(two), key(plain));
  EXPECT_FALSE(two.has_missed());
  two.missed();
  EXPECT_TRUE(two.has_missed());
  EXPECT_FALSE(one.has_missed()) << "a miss ends the asking in its own stage only";
}

TEST(StepChain, ThousandsOfStagesUponEachOther) {
  StepChain chain = StepChain::begin(kBase);
  for (int i = 0; i < 5000; ++i) {
    chain = StepChain::begin(chain);
    chain.add({"RUN x"});
  }
  EXPECT_EQ(key(chain).size(), 64u);
}

TEST(StepChain, ModesAsGoWritesThem) {
  EXPECT_EQ(go_mode_text(S_IFREG | 0644), "-rw-r--r--");
  EXPECT_EQ(go_mode_text(S_IFREG | 04755), "urwxr-xr-x");
  EXPECT_EQ(go_mode_text(S_IFDIR | 0755), "drwxr-xr-x");
  EXPECT_EQ(go_mode_text(S_IFDIR | 01777), "dtrwxrwxrwx");
  EXPECT_EQ(go_mode_text(S_IFLNK | 0777), "Lrwxrwxrwx");
  EXPECT_EQ(go_mode_text(S_IFCHR | 0600), "Dcrw-------");
}

TEST(StepChain, FilesAndDirectories) {
  if (::geteuid() != 0) GTEST_SKIP() << "the owner is in the digest: needs root";
  const auto root = sys::TempDir::make("/tmp", "step-chain-").value();
  const auto write = [&](const std::string& name, const std::string& text, mode_t mode) {
    const std::string path = root.path() + "/" + name;
    ASSERT_TRUE(sys::replace_file(path, text, mode));
    ASSERT_EQ(0, ::chmod(path.c_str(), mode));
  };
  ASSERT_EQ(0, ::mkdir((root.path() + "/d").c_str(), 0755));
  ASSERT_EQ(0, ::mkdir((root.path() + "/d/sub").c_str(), 0755));
  ASSERT_EQ(0, ::symlink("x", (root.path() + "/d/l").c_str()));
  write("f", "data\n", 04755);
  write("d/x", "1\n", 0644);
  const sys::Fd fd = sys::open(root.path(), O_RDONLY | O_DIRECTORY).value();
  const Tree tree(layer::MergedDir::open({fd.get()}, layer::MergedDir::Kind::kPlain).value(), std::nullopt);
  EXPECT_EQ(kaniko_file_keys(tree, {"f", "d"}, Cancel()).value(), (std::vector<std::string>{kFile, kDirectory}));
  EXPECT_EQ(kaniko_file_keys(tree, {"[f]", "nothing"}, Cancel()).value(), std::vector<std::string>{kFile});
}

}  // namespace
}  // namespace slipway::build
