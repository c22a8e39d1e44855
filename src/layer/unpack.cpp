#include <exception>
#include <thread>

#include "base/text.hpp"
#include "layer/codec.hpp"
#include "layer/extractor.hpp"
#include "layer/fanout.hpp"
#include "layer/layer.hpp"
#include "layer/tar_reader.hpp"

namespace slipway::layer {
namespace {

constexpr int kHashReader = 0;
constexpr int kTreeReader = 1;

/// Runs a thread's body; what it throws is an error like any other.
template <class Body>
auto guarded(Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::exception& error) {
    return fail(Code::kInternal, "unpacking failed: {}", error.what());
  }
}

/// Decompresses into the fan-out's buffers, each filled to the brim so that blocks rarely straddle two of them.
Status decode(const Source& compressed, Fanout& fanout, const UnpackOptions& options, const Cancel& cancel) {
  const Limits& limits = options.limits;
  std::int64_t taken = 0;
  const auto counted = [&](char* buffer, std::size_t size) -> Result<std::size_t> {
    const std::size_t got = TRY(compressed(buffer, size));
    taken += static_cast<std::int64_t>(got);
    return got;
  };
  const Source plain = TRY(decoder(counted, options.lend));
  std::int64_t total = 0;
  for (bool ended = false; !ended;) {
    Fanout::Buffer* buffer = fanout.empty();
    if (buffer == nullptr) return {};
    while (buffer->room() > 0 && !ended) {
      TRY(cancel.check());
      const std::size_t got = TRY(plain(buffer->bytes.get() + buffer->size, buffer->room()));
      buffer->size += got;
      total += static_cast<std::int64_t>(got);
      ended = got == 0;
      if (total > limits.unpacked_bytes)
        return fail(Code::kOutOfRange, "the layer unpacks to more than {} bytes", limits.unpacked_bytes);
      if (total > limits.bomb_bytes && total / limits.bomb_ratio > taken)
        return fail(Code::kOutOfRange, "the layer unpacks to more than {} times its first {} bytes: it is a bomb",
                    limits.bomb_ratio, taken);
    }
    if (buffer->size > 0) fanout.publish(buffer);
  }
  return {};
}

/// The fan-out as TarReader wants it: one buffer at a time, given back when the next is asked for.
class TreeChunks {
 public:
  explicit TreeChunks(Fanout& fanout) : fanout_(fanout) {}
  Result<std::string_view> next() {
    if (buffer_ != nullptr) fanout_.release(std::exchange(buffer_, nullptr));
    buffer_ = fanout_.next(kTreeReader);
    return buffer_ == nullptr ? std::string_view{} : buffer_->view();
  }

 private:
  Fanout& fanout_;
  Fanout::Buffer* buffer_ = nullptr;
};

struct Counts {
  std::int64_t entries = 0;
  std::int64_t tree_bytes = 0;
};

Result<Counts> extract(Fanout& fanout, int root, const UnpackOptions& options, const Cancel& cancel) {
  TreeChunks chunks(fanout);
  TarReader reader([&] { return chunks.next(); }, options.limits);
  Extractor extractor(root, options, reader, cancel);
  Entry entry;
  while (TRY(reader.next(entry))) TRY(extractor.add(entry));
  TRY(reader.drain());
  TRY(extractor.finish());
  return Counts{extractor.entries(), extractor.tree_bytes()};
}

void hash(Fanout& fanout, oci::Hasher& hasher, std::int64_t& bytes) {
  while (auto* buffer = fanout.next(kHashReader)) {
    hasher.update(buffer->view());
    bytes += static_cast<std::int64_t>(buffer->size);
    fanout.release(buffer);
  }
}

}  // namespace

Result<Unpacked> unpack(const Source& compressed, int root, const UnpackOptions& options, const Cancel& cancel) {
  Fanout fanout;
  oci::Hasher hasher;
  std::int64_t plain_bytes = 0;
  Status decoded, hashed;
  Result<Counts> counts;
  {
    std::jthread decode_thread, hash_thread;
    counts = guarded([&]() -> Result<Counts> {
      decode_thread = std::jthread([&] {
        decoded = guarded([&] { return decode(compressed, fanout, options, cancel); });
        fanout.end();
      });
      hash_thread = std::jthread([&] {
        hashed = guarded([&]() -> Status {
          hash(fanout, hasher, plain_bytes);
          return {};
        });
        if (!hashed) fanout.stop();
      });
      return extract(fanout, root, options, cancel);
    });
    if (!counts) fanout.stop();
  }  // both threads are joined
  // A broken stream makes the tar end early: its own error says more than the tar's.
  if (!decoded) return std::unexpected(std::move(decoded).error());
  if (!hashed) return std::unexpected(std::move(hashed).error());
  if (!counts) return std::unexpected(std::move(counts).error());
  return Unpacked{.diff_id = {hasher.finish()},
                  .plain_bytes = plain_bytes,
                  .tree_bytes = counts->tree_bytes,
                  .entries = counts->entries,
                  .empty = counts->entries == 0};
}

}  // namespace slipway::layer
