// Fanout: a fixed set of buffers from one writer to two readers, each in its own thread. The slower reader holds back
// the writer; nothing is allocated or copied on the way.
//
//   writer:  while (auto* buffer = fanout.empty()) { fill; fanout.publish(buffer); }   fanout.end();
//   reader:  while (auto* buffer = fanout.next(0)) { use buffer->view(); fanout.release(buffer); }
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "base/queue.hpp"

namespace slipway::layer {

class Fanout {
 public:
  static constexpr int kReaders = 2;
  static constexpr std::size_t kBuffers = 8;
  static constexpr std::size_t kBufferBytes = 256 * 1024;

  struct Buffer {
    std::unique_ptr<char[]> bytes = std::make_unique_for_overwrite<char[]>(kBufferBytes);
    std::size_t size = 0;
    std::atomic<int> readers{0};
    [[nodiscard]] std::string_view view() const { return {bytes.get(), size}; }
    [[nodiscard]] std::size_t room() const { return kBufferBytes - size; }
  };

  /// An empty buffer, waiting for one; null when a reader called stop().
  [[nodiscard]] Buffer* empty() {
    if (stopped_) return nullptr;
    if (buffers_.size() < kBuffers) {  // made as they are needed: most layers are small
      buffers_.push_back(std::make_unique<Buffer>());
      return buffers_.back().get();
    }
    const auto buffer = free_.pop();
    if (!buffer || stopped_) return nullptr;
    (*buffer)->size = 0;
    return *buffer;
  }
  void publish(Buffer* buffer) {
    buffer->readers = kReaders;
    for (auto& queue : queues_) (void)queue.push(buffer);  // never waits: the queue holds all buffers
  }
  /// The writer has no more.
  void end() {
    for (auto& queue : queues_) queue.close();
  }

  /// The next buffer for reader 0 or 1; null at the end.
  [[nodiscard]] Buffer* next(int reader) {
    const auto buffer = queues_[static_cast<std::size_t>(reader)].pop();
    return buffer ? *buffer : nullptr;
  }
  void release(Buffer* buffer) {
    if (--buffer->readers == 0) (void)free_.push(buffer);
  }
  /// Someone failed: everyone else comes to an end soon.
  void stop() {
    stopped_ = true;
    free_.close();
    end();
  }

 private:
  std::vector<std::unique_ptr<Buffer>> buffers_;  ///< of the writer
  Queue<Buffer*> free_{kBuffers};
  std::array<Queue<Buffer*>, kReaders> queues_{Queue<Buffer*>(kBuffers), Queue<Buffer*>(kBuffers)};
  std::atomic<bool> stopped_{false};
};

}  // namespace slipway::layer
