#include "image/unpacking.hpp"

#include <thread>

#include "base/pool.hpp"
#include "image/byte_pipe.hpp"
#include "layer/codec.hpp"
#include "sys/file.hpp"

namespace slipway::image {
namespace {

constexpr int kWindowPollMs = 50;

/// A chain's ID may equal the digest of its one plain layer's blob: the locks need different names.
oci::Digest lock_name(const oci::ChainId& chain) { return oci::Digest::of("unpack " + chain.digest.text()); }

}  // namespace

Unpacking::Unpacking(const Images& images, const Resolved& image, progress::Sink& sink, progress::VertexId vertex)
    : images_(images), image_(image), transfers_(images, image, sink, vertex) {
  const auto& diffs = image.config.view().diff_ids;
  for (std::size_t i = 0; i < diffs.size(); ++i) {
    const auto parent = i == 0 ? std::nullopt : std::optional(layers_.back().chain);
    layers_.push_back({&image.manifest.layers()[i], diffs[i],
                       parent ? parent->next(diffs[i]) : oci::ChainId::first(diffs[i]), parent});
  }
}

Result<std::vector<store::Snapshot>> Unpacking::run(const Cancel& cancel) {
  if (image_.manifest.layers().size() != layers_.size())
    return fail(Code::kInvalidArgument, "{} has as many layers as diff ids only when resolved",
                image_.reference.familiar());
  std::vector<std::optional<store::Snapshot>> known;
  std::size_t missing = 0;
  for (const auto& layer : layers_) {
    known.push_back(TRY(snapshot_here(layer)));
    if (!known.back()) ++missing;
  }
  slots_.lock()->resize(layers_.size());
  CancelSource workers(cancel);
  Pool pool(std::min(missing, static_cast<std::size_t>(images_.client.parallel_transfers())));
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    if (known[i]) continue;
    pool.add([this, i, &workers] {
      Result<Made> made = make(layers_[i], workers.cancel());
      if (!made) workers.fire("stopped because another layer failed");
      auto slots = slots_.lock();
      (*slots)[i] = std::move(made);
      filled_.notify_all();
    });
  }
  auto snapshots = commit_in_order(std::move(known), workers);
  TRY(cancel.check());
  return snapshots;
}

Result<Unpacking::Made> Unpacking::take(std::size_t index) {
  auto slots = slots_.lock();
  slots.wait(filled_, [&] { return (*slots)[index].has_value(); });
  return *std::move((*slots)[index]);
}

Result<std::vector<store::Snapshot>> Unpacking::commit_in_order(std::vector<std::optional<store::Snapshot>> known,
                                                                CancelSource& workers) {
  std::vector<store::Snapshot> snapshots;
  const auto stop = [&](Error error, std::size_t next) {
    workers.fire("stopped because another layer failed");
    for (std::size_t i = next; error.code() == Code::kCancelled && i < layers_.size(); ++i) {
      if (known[i]) continue;
      if (auto other = take(i); !other) error = std::move(other).error();
    }
    return std::unexpected(std::move(error));
  };
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    if (!known[i]) {
      auto made = take(i);
      if (!made) return stop(std::move(made).error(), i + 1);
      auto snapshot = commit(layers_[i], *std::move(made));
      if (!snapshot) return stop(std::move(snapshot).error(), layers_.size());
      known[i] = *std::move(snapshot);
    }
    snapshots.push_back(*known[i]);
  }
  return snapshots;
}

Result<store::Snapshot> Unpacking::commit(const Layer& layer, Made made) {
  if (made.snapshot) return *std::move(made.snapshot);
  return context(made.draft->commit({.parent = layer.parent,
                                     .diff = layer.diff,
                                     .empty = made.facts->empty,
                                     .tree_bytes = made.facts->tree_bytes}),
                 "while unpacking {}", image_.reference.familiar());
}

Result<std::optional<store::Snapshot>> Unpacking::unpacked_before(const Layer& layer) const {
  const auto known = TRY(images_.store.layer_of_blob(layer.blob->digest));
  if (!known || known->diff != layer.diff) return std::nullopt;
  return images_.store.acquire_snapshot(images_.lease, layer.chain);
}

Result<std::optional<store::Snapshot>> Unpacking::snapshot_here(const Layer& layer) const {
  if (!TRY(transfers_.holds(*layer.blob))) return std::nullopt;
  return unpacked_before(layer);
}

Result<Unpacking::Made> Unpacking::make(const Layer& layer, const Cancel& cancel) {
  TRY(cancel.check());
  Made made;
  made.lock = TRY(images_.store.lock_key(lock_name(layer.chain), cancel));
  if (auto snapshot = TRY(unpacked_before(layer))) {
    (void)TRY(transfers_.ensure(*layer.blob, nullptr, cancel));
    made.snapshot = std::move(snapshot);
    made.lock.reset();
    return made;
  }
  while (!made.facts) {
    made.draft = TRY(images_.store.draft_snapshot(images_.lease));
    const sys::Fd root = TRY(sys::open(made.draft->fs(), O_RDONLY | O_DIRECTORY));
    made.facts = TRY(context(fill(layer, root.get(), cancel), "while unpacking layer {} of {}",
                             layer.blob->digest.text(), image_.reference.familiar()));
  }
  return made;
}

Result<std::optional<layer::Unpacked>> Unpacking::fill(const Layer& layer, int root, const Cancel& cancel) {
  auto streamed = TRY(stream(layer, root, cancel));
  if (streamed.arrival == Arrival::kSpoiled) return std::nullopt;
  layer::Unpacked facts = streamed.facts ? *std::move(streamed.facts) : TRY(unpack_stored(layer, root, cancel));
  if (facts.diff_id != layer.diff)
    return fail(Code::kDataLoss, "its plain bytes have the digest {}, the config says {}", facts.diff_id.digest.text(),
                layer.diff.digest.text());
  const sys::Fd blob = TRY(images_.store.open_blob(layer.blob->digest));
  const oci::Compression compression = TRY(layer::detect_file(blob.get()));
  TRY(images_.store.note_layer({.diff = layer.diff,
                                .blob = {layer.blob->digest, layer.blob->size},
                                .compression = compression,
                                .tree_bytes = facts.tree_bytes}));
  return facts;
}

layer::UnpackOptions Unpacking::options(const Cancel& cancel) {
  layer::UnpackOptions options;
  options.limits.unpacked_bytes = std::min(options.limits.unpacked_bytes, images_.store.free_bytes());
  options.lend = [this, cancel](std::size_t) -> Result<std::shared_ptr<void>> {
    // One layer at a time: six windows of 128 MiB would be more than a puller may take.
    while (std::exchange(*large_window_.lock(), true))
      if (cancel.wait_for(kWindowPollMs)) TRY(cancel.check());
    return std::shared_ptr<void>(this, [](Unpacking* self) { *self->large_window_.lock() = false; });
  };
  return options;
}

Result<Unpacking::Streamed> Unpacking::stream(const Layer& layer, int root, const Cancel& cancel) {
  BytePipe pipe;
  Result<layer::Unpacked> facts = fail(Code::kInternal, "nothing was unpacked");
  std::jthread unpacker;  // started by the first bytes: a blob that is here already needs none
  const layer::Target tee = [&](std::string_view bytes) -> Status {
    if (!unpacker.joinable()) {
      unpacker = std::jthread([&] {
        const auto read = [&](char* buffer, std::size_t size) { return pipe.read(buffer, size); };
        facts = layer::unpack(read, root, options(cancel), cancel);
        pipe.leave();  // the download goes on: its digest decides whose fault it is
      });
    }
    pipe.write(bytes);
    return {};
  };
  const auto ensured = transfers_.ensure(*layer.blob, tee, cancel);
  pipe.finish(ensured ? Status() : std::unexpected(ensured.error()));
  const bool started = unpacker.joinable();
  if (started) unpacker.join();
  if (!ensured) return std::unexpected(ensured.error());
  if (!started || *ensured == Arrival::kSpoiled) return Streamed{*ensured, std::nullopt};
  return Streamed{*ensured, TRY(std::move(facts))};
}

Result<layer::Unpacked> Unpacking::unpack_stored(const Layer& layer, int root, const Cancel& cancel) {
  const sys::Fd blob = TRY(images_.store.open_blob(layer.blob->digest));
  std::int64_t offset = 0;
  const auto read = [&](char* buffer, std::size_t size) -> Result<std::size_t> {
    const std::size_t got = TRY(sys::read_some_at(blob.get(), buffer, size, offset));
    offset += static_cast<std::int64_t>(got);
    return got;
  };
  return layer::unpack(read, root, options(cancel), cancel);
}

}  // namespace slipway::image
