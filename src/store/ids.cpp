// Whose ids the trees of a root have. Where there is one id only, owners are records beside the files
// (layer/owner.hpp); where there is a range, files belong to whom they should. The two can not use each other's trees:
// a user who is given a range later has them unpacked again, and one who loses it can not even remove the old ones.
#include "base/text.hpp"
#include "layer/owner.hpp"
#include "store/core.hpp"
#include "sys/file.hpp"

namespace slipway::store {
namespace {

constexpr const char* kMark = "one-id";

Result<bool> has_trees(Core& core) {
  return TRY(core.database.lock()->number("SELECT 1 WHERE EXISTS (SELECT 1 FROM snapshots)"
                                          " OR EXISTS (SELECT 1 FROM cache_layers)"))
      .has_value();
}

Status set_mark(const Core& core, bool one) {
  if (!one) return sys::unlink_at(core.directory.get(), kMark);
  (void)TRY(sys::open_at(core.directory.get(), kMark, O_WRONLY | O_CREAT | O_NOFOLLOW, 0600));
  return sys::sync(core.directory.get(), core.root);
}

/// Trees and what is recorded upon them go; all of it can be made again from the blobs.
Status drop_trees(Core& core) {
  (void)TRY(sweep_leases(core, false));
  auto db = core.database.lock();
  Txn txn = TRY(Txn::write(*db));
  if (TRY(db->number("SELECT 1 FROM leases LIMIT 1")))
    return fail(Code::kUnavailable, "the store {} is in use by a command that has one id only; try again when it ended",
                printable(core.root));
  TRY(db->execute("DELETE FROM snapshots; DELETE FROM cache_layers; DELETE FROM records; DELETE FROM record_parts;"));
  return txn.commit();
}

}  // namespace

Status match_ids(Core& core) {
  const bool one = layer::records_owners();
  const bool mark = TRY(sys::lstat_at(core.directory.get(), kMark)).has_value();
  if (one == mark) return {};
  if (TRY(has_trees(core))) {
    if (one)
      return std::unexpected(
          Error(Code::kFailedPrecondition,
                fmt::format("the store {} has files of ids that this user no longer has", printable(core.root)))
              .with_hint("give the range in /etc/subuid and /etc/subgid back, or use another --root"));
    TRY(drop_trees(core));
  }
  return set_mark(core, one);
}

}  // namespace slipway::store
