// Stack: the file system of a stage as layers, bottom first. What vertices pass to each other.
//
// A layer may be in three states: *remote or stored* (its descriptor is known, its snapshot is found or unpacked when a
// step needs it), *fresh* (a step has just made its tree; its digest is still being computed in the background) and
// *finished*.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/progress.hpp"
#include "base/time.hpp"
#include "image/image.hpp"
#include "layer/layer.hpp"
#include "solver/solver.hpp"
#include "store/store.hpp"

namespace slipway::build {

/// What is known of a layer once its bytes have names.
struct LayerFacts {
  oci::DiffId diff;
  oci::ChainId chain;
  oci::Descriptor blob;  ///< as it stands in a manifest
  std::int64_t tree_bytes = 0;
  std::optional<Timestamp> created;  ///< history's time; none for layers of a base image
  bool empty = false;
  bool without_tree = false;  ///< its blob has clamped times: no snapshot was kept, one is unpacked when it is needed
  std::vector<std::string> caches = {};  ///< what of --cache-from it rests upon, sorted (travelling_records.hpp)
  std::string of_cache = {};             ///< the one of them that it came out of; empty: it was made here
};

/// The text of one layer in a record.
[[nodiscard]] std::string encode(const LayerFacts& facts);

/// One command's hands: passed to everything that touches the store.
struct Workshop {
  store::Store& store;
  const store::Lease& lease;
  image::Images images;
  progress::Sink& sink;
  std::string scope;
};

class Layer {
 public:
  /// Known from a record or a manifest. `base`: the image it came with, which says whether its bytes may be used and
  /// where they are to be had; null of what was made here.
  Layer(LayerFacts facts, std::shared_ptr<const image::Resolved> base);
  /// Fresh from a step.
  Layer(store::SnapshotDraft draft, Timestamp created);
  /// The same change upon other layers (COPY --link): shares the tree of `original`, and has facts once
  /// place_upon() says what lies below.
  explicit Layer(std::shared_ptr<Layer> original);

  /// The snapshot directory, once known without work: fresh layers and layers used before.
  [[nodiscard]] std::optional<std::string> directory() const;
  [[nodiscard]] std::optional<LayerFacts> facts() const;
  [[nodiscard]] Timestamp created() const { return created_; }
  [[nodiscard]] const std::shared_ptr<const image::Resolved>& base() const {
    return base_ || !original_ ? base_ : original_->base();
  }
  [[nodiscard]] const std::shared_ptr<Layer>& original() const { return original_; }
  /// Of a layer that shares another's tree: whether the store has the tree under this one's name too.
  [[nodiscard]] bool shared() const { return shared_; }
  void set_shared() const { shared_ = true; }
  /// What of --cache-from it rests upon, sorted.
  [[nodiscard]] std::vector<std::string> caches() const;
  void set_caches(std::vector<std::string> caches) { caches_ = std::move(caches); }
  /// Given before the layer is shared.
  void set_base(std::shared_ptr<const image::Resolved> base) { base_ = std::move(base); }
  /// Whether it holds something else than its step's key says; a layer that shares another's tree, where that does.
  [[nodiscard]] bool off_key() const { return off_key_ || (original_ && original_->off_key()); }
  void set_off_key() { off_key_ = true; }
  void set_directory(std::string directory, bool empty) const;
  /// The facts of a layer that shares another's tree, which has its own by now.
  void place_upon(const std::optional<oci::ChainId>& parent) const;
  /// Whether the tree is known to hold nothing: such a layer is left out of mounts.
  [[nodiscard]] bool empty() const;
  /// Finishes a fresh layer: names its tree.
  [[nodiscard]] Status commit(const LayerFacts& facts, const std::optional<oci::ChainId>& parent);
  /// Finishes a fresh layer whose tree is not what its blob says (times were clamped): the tree goes, and is unpacked
  /// when it is needed.
  void finish_without_tree(const LayerFacts& facts);

 private:
  mutable std::mutex mutex_;
  mutable std::optional<LayerFacts> facts_;
  mutable std::optional<std::string> directory_;
  mutable bool empty_ = false;
  std::optional<store::SnapshotDraft> draft_;
  std::shared_ptr<const image::Resolved> base_;
  std::shared_ptr<Layer> original_;
  mutable std::atomic<bool> shared_ = false;
  bool off_key_ = false;
  std::vector<std::string> caches_;  ///< of a fresh layer; afterwards they are in the facts
  Timestamp created_;
};

class Stack final : public solver::Output {
 public:
  Stack() = default;
  explicit Stack(std::vector<std::shared_ptr<Layer>> layers) : layers_(std::move(layers)) {}
  [[nodiscard]] const std::vector<std::shared_ptr<Layer>>& layers() const { return layers_; }
  [[nodiscard]] std::shared_ptr<Stack> with(std::shared_ptr<Layer> top) const;
  /// Snapshot directories for a mount, topmost first, empty ones left out; unpacks (and fetches) what is missing.
  [[nodiscard]] Result<std::vector<std::string>> lowers(const Workshop& shop, progress::VertexId vertex,
                                                        const Cancel& cancel) const;
  /// The chain ID of all layers; none for scratch. All layers must be finished.
  [[nodiscard]] std::optional<oci::ChainId> chain() const;

  /// What of --cache-from its layers rest upon, sorted.
  [[nodiscard]] std::vector<std::string> caches() const;

  /// The text of a record and back: the facts of every layer.
  [[nodiscard]] std::string encode() const;
  /// That text out of the texts of its layers, bottom first.
  static std::string join(const std::vector<std::string>& layers);
  static Result<std::shared_ptr<Stack>> decode(std::string_view value);

  [[nodiscard]] bool recordable() const override {
    return std::ranges::none_of(layers_, [](const auto& layer) { return layer->off_key(); });
  }

 private:
  std::vector<std::shared_ptr<Layer>> layers_;
};

/// The layers of a resolved image as a stack: nothing is fetched.
[[nodiscard]] Result<std::shared_ptr<Stack>> stack_of(std::shared_ptr<const image::Resolved> image);

}  // namespace slipway::build
