#include "cli/output.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "sys/child.hpp"
#include "sys/file.hpp"

namespace slipway::cli {
namespace {

TEST(StandardOutput, AFullDeviceIsAnError) {
  auto full = sys::open("/dev/full", O_WRONLY);
  if (!full) GTEST_SKIP() << "no /dev/full here";
  StandardOutput out(full->release());
  EXPECT_TRUE(out.write("x"));  // buffered
  const auto status = out.finish();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), Code::kResourceExhausted);
  EXPECT_EQ(status.error().contexts().front(), "while writing to standard output");
}

TEST(StandardOutput, WritesEverything) {
  auto pipe = sys::make_pipe();
  ASSERT_TRUE(pipe);
  StandardOutput out(pipe->write.release());
  EXPECT_TRUE(out.write("one "));
  EXPECT_TRUE(out.write("two"));
  EXPECT_TRUE(out.finish());
  EXPECT_EQ(sys::read_all(pipe->read.get(), 100).value(), "one two");
}

class OutputFileTest : public testing::Test {
 protected:
  sys::TempDir directory_ = sys::TempDir::make(testing::TempDir(), "output").value();
  std::string path_ = directory_.path() + "/out";
  std::vector<std::string> names() {
    auto fd = sys::open(directory_.path(), O_RDONLY | O_DIRECTORY);
    return sys::list_directory(fd->get(), directory_.path()).value();
  }
};

TEST_F(OutputFileTest, AppearsWholeOrNotAtAll) {
  ASSERT_TRUE(sys::replace_file(path_, "old", 0600));
  {
    auto file = OutputFile::create(path_);
    ASSERT_TRUE(file);
    EXPECT_TRUE(file->write("half"));
    EXPECT_EQ(sys::read_file(path_, 100).value(), "old");
  }
  EXPECT_EQ(sys::read_file(path_, 100).value(), "old");
  EXPECT_EQ(names(), std::vector<std::string>{"out"});
  auto file = OutputFile::create(path_);
  ASSERT_TRUE(file);
  EXPECT_TRUE(file->write("new"));
  EXPECT_TRUE(file->finish());
  EXPECT_EQ(sys::read_file(path_, 100).value(), "new");
  EXPECT_EQ(names(), std::vector<std::string>{"out"});
}

TEST_F(OutputFileTest, ADeviceIsWrittenStraight) {
  auto file = OutputFile::create("/dev/full");
  if (!file) GTEST_SKIP() << "no /dev/full here";
  const auto status = file->write("x");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), Code::kResourceExhausted);
}

TEST_F(OutputFileTest, ADirectoryIsNoFile) {
  const auto file = OutputFile::create(directory_.path());
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code(), Code::kInvalidArgument);
}

TEST(SourceOf, StopsWhenCancelled) {
  auto pipe = sys::make_pipe();
  ASSERT_TRUE(pipe);
  CancelSource stop;
  const auto source = source_of(pipe->read.get(), "the pipe", stop.cancel());
  stop.fire("enough");
  char buffer[8];
  const auto count = source(buffer, sizeof buffer);  // would wait for ever: the writing end is open
  ASSERT_FALSE(count);
  EXPECT_EQ(count.error().code(), Code::kCancelled);
}

}  // namespace
}  // namespace slipway::cli
