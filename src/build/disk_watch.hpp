// A bound on what another program writes: its folder is measured while it runs, and it is stopped when it takes more.
// A small pack of git can hold a tree that fills any disk, and a server may send without an end.
//
//   DiskWatch watch(directory, 16 << 30, cancel);
//   auto done = sys::run(git, "", watch.cancel(), …);
//   TRY(watch.finish());                               // what fires watch.cancel() is told by finish()
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include "base/cancel.hpp"
#include "base/error.hpp"

namespace slipway::build {

class DiskWatch {
 public:
  /// Watches the existing `directory`, blocks on disk counted, until finish() or the end of the object.
  DiskWatch(std::string directory, std::int64_t limit, const Cancel& cancel);
  DiskWatch(const DiskWatch&) = delete;
  DiskWatch& operator=(const DiskWatch&) = delete;
  ~DiskWatch();

  /// Fires with the parent, and when the limit is passed.
  [[nodiscard]] Cancel cancel() const { return source_.cancel(); }
  /// Measures for the last time. Errors: kResourceExhausted.
  [[nodiscard]] Status finish();

 private:
  void measure();

  std::string directory_;
  std::int64_t limit_;
  CancelSource source_;
  CancelSource ended_;
  std::atomic<bool> passed_ = false;
  std::jthread thread_;
};

}  // namespace slipway::build
