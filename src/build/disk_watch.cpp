#include "build/disk_watch.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/text.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

constexpr int kPauseMs = 200;

/// Blocks of all files below `directory`; stops counting behind `limit`. What comes and goes meanwhile does not matter.
std::int64_t disk_bytes(const std::string& directory, std::int64_t limit, const Cancel& ended) {
  const auto root = sys::open(directory, O_RDONLY | O_DIRECTORY);
  if (!root) return 0;
  std::int64_t bytes = 0;
  std::vector<std::string> pending{"."};
  while (!pending.empty() && bytes <= limit && !ended.fired()) {
    const std::string path = std::move(pending.back());
    pending.pop_back();
    const auto at = sys::open_beneath(root->get(), path, O_RDONLY | O_DIRECTORY);
    if (!at) continue;
    const auto names = sys::list_directory(at->get(), path);
    if (!names) continue;
    for (const auto& name : *names) {
      const auto info = sys::lstat_at(at->get(), name);
      if (!info || !*info) continue;
      bytes += (*info)->st_blocks * std::int64_t{512};
      if (S_ISDIR((*info)->st_mode)) pending.push_back(path + "/" + name);
    }
  }
  return bytes;
}

}  // namespace

DiskWatch::DiskWatch(std::string directory, std::int64_t limit, const Cancel& cancel)
    : directory_(std::move(directory)), limit_(limit), source_(cancel), thread_([this] { measure(); }) {}

DiskWatch::~DiskWatch() { ended_.fire("the watch ended"); }

void DiskWatch::measure() {
  using Clock = std::chrono::steady_clock;
  int pause = kPauseMs;
  while (!ended_.cancel().wait_for(pause)) {
    const auto begin = Clock::now();
    if (disk_bytes(directory_, limit_, ended_.cancel()) > limit_) {
      passed_ = true;
      source_.fire("the folder became too large");
      return;
    }
    // A large tree takes long to measure: most of the time is the other program's.
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count();
    pause = static_cast<int>(std::clamp<std::int64_t>(took * 10, kPauseMs, 10'000));
  }
}

Status DiskWatch::finish() {
  ended_.fire("the watch ended");
  if (thread_.joinable()) thread_.join();
  if (!passed_ && disk_bytes(directory_, limit_, Cancel()) <= limit_) return {};
  return fail(Code::kResourceExhausted, "it takes more than {} on disk", human_size(limit_));
}

}  // namespace slipway::build
