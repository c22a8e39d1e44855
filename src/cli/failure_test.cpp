#include "cli/failure.hpp"

#include <gtest/gtest.h>

namespace slipway::cli {
namespace {

TEST(Failure, SaysWhatWhereAndWhatToDo) {
  Error error(Code::kNotFound, "no image named \"app\"");
  error.add_context("while saving app").with_hint("'slipway images' lists what is here");
  EXPECT_EQ(failure_text(error),
            "ERROR: no image named \"app\"\n"
            "  while saving app\n"
            "  hint: 'slipway images' lists what is here\n");
}

TEST(Failure, ExcerptComesFirst) {
  Error error(Code::kInvalidArgument,
              "failed to solve: process \"/bin/sh -c exit 3\" did not complete successfully: exit code: 3");
  error.with_range({"Dockerfile", 3, 3});
  error.with_excerpt("Dockerfile:3\n--------------------\n   3 | >>> RUN exit 3\n--------------------");
  EXPECT_EQ(failure_text(error),
            "Dockerfile:3\n--------------------\n   3 | >>> RUN exit 3\n--------------------\n"
            "ERROR: failed to solve: process \"/bin/sh -c exit 3\" did not complete successfully: exit code: 3\n");
}

TEST(Failure, ForeignBytesAreMadePrintable) {
  Error error(Code::kDataLoss, "bad \x1b[2J");
  error.with_excerpt("1 | RUN \x1b]0;x\x07");
  EXPECT_EQ(failure_text(error), "1 | RUN \\x1b]0;x\\x07\nERROR: bad \\x1b[2J\n");
}

TEST(Failure, DebugNamesTheCode) {
  const Error error = errno_error(ENOSPC, "cannot write x");
  EXPECT_EQ(failure_text(error, true),
            "ERROR: cannot write x: No space left on device\n  code: resource_exhausted, errno 28\n");
}

TEST(Failure, ExitCodes) {
  EXPECT_EQ(exit_code_of(Error(Code::kUsage, "x"), 0), 2);
  EXPECT_EQ(exit_code_of(Error(Code::kNotFound, "x"), 0), 1);
  EXPECT_EQ(exit_code_of(Error(Code::kCancelled, "x"), 2), 130);
  EXPECT_EQ(exit_code_of(Error(Code::kCancelled, "x"), 0), 1);
  EXPECT_EQ(exit_code_of(Error(Code::kInternal, "x"), 15), 1);
}

}  // namespace
}  // namespace slipway::cli
