// StepTest: a store-like root with one small snapshot (busybox and the probe program) to run steps on.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/sandbox.hpp"
#include "sys/file.hpp"

namespace slipway::sandbox {

/// What a run gave.
struct Ran {
  Result<sys::ExitStatus> status = sys::ExitStatus{};
  std::string out, err;
  std::string upper;  ///< the draft's "fs"
};

class StepTest : public ::testing::Test {
 protected:
  void SetUp() override;

  /// A snapshot directory `<root>/snapshots/NAME/fs`, empty.
  std::string snapshot(const std::string& name);
  /// The snapshot with busybox and the probe; /dev, /proc, /sys, /etc and its files are missing on purpose.
  std::string base();
  /// A spec with a fresh draft on `lowers`, PATH and no network.
  Spec spec(std::vector<std::string> lowers);
  Ran run(Spec spec, const Cancel& cancel = {});
  /// `sh -c script` on base().
  Ran sh(const std::string& script);

  /// Paths below `directory`, sorted, directories with a slash at their end.
  static std::vector<std::string> tree(const std::string& directory);

  std::optional<sys::TempDir> dir_;
  std::string root_;
  std::optional<Sandbox> box_;

 private:
  int drafts_ = 0;
};

}  // namespace slipway::sandbox
