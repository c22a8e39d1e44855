// Unpacking: the layers of one image become snapshots, in one pass over their bytes.
//
//   network → blob writer (sha256 of what came, verified at its end)
//           ↘ pipe → layer::unpack (decompress → diff ID ∥ files) → draft
//
// Layers are worked on in parallel and committed in the order of the chain. Two locks, both held by a process and given
// up with it: one per chain ID (one unpacking over all processes), inside it one per blob (one download). A holder of a
// chain's lock waits for lower layers only, and a holder of a blob's lock waits for nobody: no cycle.
#pragma once

#include <condition_variable>
#include <vector>

#include "base/synced.hpp"
#include "image/image.hpp"
#include "image/transfers.hpp"

namespace slipway::image {

class Unpacking {
 public:
  Unpacking(const Images& images, const Resolved& image, progress::Sink& sink, progress::VertexId vertex);
  /// The snapshots of the chain, bottom first.
  [[nodiscard]] Result<std::vector<store::Snapshot>> run(const Cancel& cancel);

 private:
  struct Layer {
    const oci::Descriptor* blob = nullptr;
    oci::DiffId diff;
    oci::ChainId chain;
    std::optional<oci::ChainId> parent;
  };
  /// What came of a layer: a snapshot that somebody else made meanwhile, or a draft to commit under the lock.
  struct Made {
    std::optional<store::Snapshot> snapshot;
    std::optional<sys::FileLock> lock;
    std::optional<store::SnapshotDraft> draft;
    std::optional<layer::Unpacked> facts;
  };
  using Slots = std::vector<std::optional<Result<Made>>>;

  /// What is here of a chain whose layer is known to unpack to that. The chain's ID stands in a config, which is
  /// anybody's word.
  Result<std::optional<store::Snapshot>> unpacked_before(const Layer& layer) const;
  /// The same, if the layer may be used (proofs.hpp).
  Result<std::optional<store::Snapshot>> snapshot_here(const Layer& layer) const;
  Result<Made> make(const Layer& layer, const Cancel& cancel);
  /// Nothing when `root` holds what must not stay: another one has to be filled, from the blob that is here now.
  Result<std::optional<layer::Unpacked>> fill(const Layer& layer, int root, const Cancel& cancel);
  struct Streamed {
    Arrival arrival;
    std::optional<layer::Unpacked> facts;  ///< nothing when no bytes came by
  };
  Result<Streamed> stream(const Layer& layer, int root, const Cancel& cancel);
  /// Within what the store's disk has free, and one large window of a decoder at a time.
  layer::UnpackOptions options(const Cancel& cancel);
  Result<layer::Unpacked> unpack_stored(const Layer& layer, int root, const Cancel& cancel);
  Result<store::Snapshot> commit(const Layer& layer, Made made);
  Result<std::vector<store::Snapshot>> commit_in_order(std::vector<std::optional<store::Snapshot>> known,
                                                       CancelSource& workers);
  Result<Made> take(std::size_t index);

  const Images& images_;
  const Resolved& image_;
  Transfers transfers_;
  std::vector<Layer> layers_;
  Synced<Slots> slots_;
  std::condition_variable filled_;
  Synced<bool> large_window_;  ///< somebody has it
};

}  // namespace slipway::image
