#include "sys/child.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include "sys/file.hpp"

namespace slipway::sys {
namespace {

TEST(ChildTest, OwnGroupEndsWithItsOwner) {
  auto pipe = make_pipe();
  ASSERT_TRUE(pipe);
  {
    // The grandchild holds the pipe's writing end too: the end of file comes when both are gone.
    auto child = Child::start({.argv = {"sh", "-c", "sleep 1000 & echo started; wait"},
                               .environment = {"PATH=/usr/bin:/bin"},
                               .descriptors = {{pipe->write.get(), 1}},
                               .own_group = true});
    ASSERT_TRUE(child) << child.error().what();
    pipe->write.reset();
    char text[16];
    ASSERT_EQ(8u, *read_some(pipe->read.get(), text, sizeof text));
  }
  pollfd end{pipe->read.get(), POLLIN, 0};
  ASSERT_EQ(1, ::poll(&end, 1, 60'000)) << "the grandchild lives on";
  char text[16];
  EXPECT_EQ(0u, *read_some(pipe->read.get(), text, sizeof text));
}

}  // namespace
}  // namespace slipway::sys
