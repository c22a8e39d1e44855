#include "build/commit.hpp"

#include "layer/codec.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

/// A blob that is written to disk only when it is not small: most steps change little, and their blobs are often here
/// already.
class LayerSink {
 public:
  explicit LayerSink(const Workshop& shop) : shop_(shop) {}
  Status write(std::string_view bytes) {
    if (!writer_ && small_.size() + bytes.size() <= kSmall) {
      small_ += bytes;
      return {};
    }
    if (!writer_) {
      writer_ = TRY(shop_.store.write_blob(shop_.lease));
      TRY(writer_->write(small_));
    }
    return writer_->write(bytes);
  }
  Result<store::Blob> commit() {
    if (writer_) return writer_->commit({});
    const oci::Digest digest = oci::Digest::of(small_);
    if (const auto here = TRY(shop_.store.acquire_blob(shop_.lease, digest))) return *here;
    return shop_.store.put_blob(shop_.lease, small_);
  }

 private:
  static constexpr std::size_t kSmall = 64 * 1024;
  const Workshop& shop_;
  std::string small_;
  std::optional<store::BlobWriter> writer_;
};

}  // namespace

Result<LayerFacts> write_layer(const Workshop& shop, const std::string& upper, const std::vector<std::string>& lowers,
                               const std::optional<oci::ChainId>& parent, Timestamp created,
                               const CommitOptions& options, const Cancel& cancel) {
  std::vector<sys::Fd> held;
  std::vector<int> below;
  for (const auto& directory : lowers) {
    held.push_back(TRY(sys::open(directory, O_RDONLY | O_DIRECTORY)));
    below.push_back(held.back().get());
  }
  const sys::Fd tree = TRY(sys::open(upper, O_RDONLY | O_DIRECTORY));

  LayerSink sink(shop);
  const auto encoder =
      layer::encoder(oci::Compression::kGzip, [&](std::string_view bytes) { return sink.write(bytes); });
  const layer::Written written =
      TRY(context(layer::write_changes(
                      tree.get(), below, [&](std::string_view bytes) { return encoder->write(bytes); },
                      {.clamp_mtime = options.clamp_mtime, .ignored = options.ignored}, cancel),
                  "while writing the layer"));
  TRY(encoder->finish());
  const store::Blob blob = TRY(sink.commit());
  TRY(shop.store.note_layer({.diff = written.diff_id,
                             .blob = blob,
                             .compression = oci::Compression::kGzip,
                             .tree_bytes = written.tree_bytes}));
  return LayerFacts{
      .diff = written.diff_id,
      .chain = parent ? parent->next(written.diff_id) : oci::ChainId::first(written.diff_id),
      .blob = {.media_type = std::string(oci::media_type::kOciLayerGzip), .digest = blob.digest, .size = blob.size},
      .tree_bytes = written.tree_bytes,
      .created = created,
      .empty = written.entries == 0};
}

Status commit_top(const Workshop& shop, const Stack& stack, const CommitOptions& options, const Cancel& cancel) {
  const Layer& top = *stack.layers().back();
  const Stack below(std::vector(stack.layers().begin(), stack.layers().end() - 1));
  const auto lowers = TRY(below.lowers(shop, 0, cancel));
  const auto parent = below.chain();
  LayerFacts facts = TRY(write_layer(shop, *top.directory(), lowers, parent, top.created(), options, cancel));
  facts.caches = top.caches();
  if (!options.clamp_mtime) return stack.layers().back()->commit(facts, parent);
  stack.layers().back()->finish_without_tree(facts);
  return {};
}

}  // namespace slipway::build
