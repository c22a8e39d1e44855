// The hidden half of SnapshotDraft: a tree in the making, for snapshots.cpp and caches.cpp.
#pragma once

#include <fcntl.h>

#include "store/core.hpp"

namespace slipway::store {

struct SnapshotDraft::State {
  State(std::shared_ptr<Core> of, std::string lease_id, std::string unique)
      : core(std::move(of)),
        lease(std::move(lease_id)),
        name(std::move(unique)),
        directory(core->root + "/snapshots/" + name) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (!named) (void)core->remove_tree(AT_FDCWD, directory);
    if (reserved == 0) return;
    auto db = core->database.lock();
    if (auto txn = Txn::write(*db); txn && unreserve(*db, lease, reserved)) (void)txn->commit();
  }

  Result<Snapshot> commit(const Facts& facts);
  Status add_to_cache(const oci::Digest& cache, std::optional<std::int64_t> replaced);

  std::shared_ptr<Core> core;
  std::string lease;
  std::string name;  ///< of the directory: the lease's until a row has it
  std::string directory;
  std::int64_t reserved = 0;
  bool named = false;  ///< a row has this tree
};

}  // namespace slipway::store
