// Uploads that are not finished: a file each in uploads/, locked while it is open, and a row. They outlive the process:
// what was written and answered for is there after a kill, and a session goes on where the file ends.
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/text.hpp"
#include "base/time.hpp"
#include "store/repositories.hpp"
#include "store/repository_rows.hpp"
#include "store/state.hpp"
#include "sys/file.hpp"
#include "sys/lock.hpp"

namespace slipway::store {
namespace {

constexpr std::string_view kFolder = "uploads";
constexpr std::size_t kIdLength = 32;
constexpr std::int64_t kGrant = std::int64_t{16} << 20;  ///< bytes reserved at a time, with a limit

bool is_id(std::string_view text) {
  return text.size() == kIdLength &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

Result<std::string> fresh_id() {
  char bytes[kIdLength / 2];
  if (::getrandom(bytes, sizeof bytes, 0) != sizeof bytes) return fail_errno("cannot make an upload's id");
  return hex({bytes, sizeof bytes});
}

/// The number of the repository whose upload it is.
Result<std::optional<std::int64_t>> find_upload(Connection& db, std::string_view scope, std::string_view repository,
                                                std::string_view id) {
  return db.number(
      "SELECT repository FROM uploads JOIN repositories ON repositories.id = repository WHERE uploads.id = ?"
      " AND scope = ? AND name = ?",
      {id, scope, repository});
}

/// What the lease of an open upload is for: by it others find the claim of one that is being finished.
std::string purpose_of(std::string_view id) { return fmt::format("upload {}", id); }

/// Whether somebody alive has claimed the name of a blob for the upload: its file, which has no name here any more, is
/// being made that blob. Who was killed in the middle of it holds no lease.
Result<bool> is_being_finished(Core& core, std::string_view id) {
  std::vector<std::string> leases;
  {
    auto db = core.database.lock();
    Rows rows = TRY(db->query(
        "SELECT DISTINCT leases.id FROM leases JOIN lease_needs ON lease = leases.id WHERE purpose = ? AND kind = ?",
        {purpose_of(id), static_cast<int>(Need::kBlob)}));
    while (TRY(rows.next())) leases.push_back(rows.text(0));
  }
  for (const auto& lease : leases)
    if (TRY(sys::is_locked(core.lease_path(lease) + "/lock"))) return true;
  return false;
}

std::string path_of(const Core& core, std::string_view id) { return fmt::format("{}/{}/{}", core.root, kFolder, id); }

}  // namespace

struct Upload::State {
  State(Store& of, std::shared_ptr<Core> in, std::string name, sys::FileLock held, Lease with)
      : store(&of), core(std::move(in)), id(std::move(name)), lock(std::move(held)), lease(std::move(with)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (!over) (void)save();
  }

  [[nodiscard]] std::string path() const { return path_of(*core, id); }
  [[nodiscard]] int fd() const { return lock.fd(); }
  Status rehash();
  Status write(std::string_view bytes);
  Status save();
  Status resume();
  Status find_row();
  Result<Blob> commit(const Expected& expected);
  Result<oci::Digest> verify(const Expected& expected);
  Status drop();

  Store* store;
  std::shared_ptr<Core> core;
  std::string id;
  sys::FileLock lock;  ///< of the upload's file, whose descriptor is the file's
  Lease lease;         ///< reserves room; claims the blob at the end
  std::int64_t repository = 0;
  oci::Hasher hasher;
  std::int64_t size = 0;
  std::int64_t saved = 0;     ///< what the row says
  std::int64_t reserved = 0;  ///< beyond that
  bool over = false;
  std::optional<Error> failed;  ///< the file may have a hole
};

Status Upload::State::rehash() {
  const struct stat info = TRY(sys::stat_fd(fd(), path()));
  if (!S_ISREG(info.st_mode)) return fail(Code::kDataLoss, "the upload {} is no regular file", id);
  std::string buffer(256 * 1024, '\0');
  while (size < info.st_size) {
    const std::size_t got = TRY(sys::read_some_at(fd(), buffer.data(), buffer.size(), size));
    if (got == 0) break;
    hasher.update({buffer.data(), got});
    size += static_cast<std::int64_t>(got);
  }
  return {};
}

Status Upload::State::write(std::string_view bytes) {
  if (failed) return std::unexpected(*failed);
  const auto length = std::ssize(bytes);
  if (core->max_size > 0 && size + length > saved + reserved)
    reserved += TRY(reserve(*core, lease.id(), size + length - saved - reserved, kGrant));
  Status done = context(explain_full(*core, sys::write_all_at(fd(), bytes, size)), "while storing an upload");
  if (!done) {
    // Bytes that were written beyond `size` are cut off, so that the session can go on when there is room again.
    if (::ftruncate(fd(), size) < 0) failed = done.error();
    return done;
  }
  hasher.update(bytes);
  size += length;
  return {};
}

Status Upload::State::save() {
  if (size == saved && reserved == 0) return {};
  auto db = core->database.lock();
  Txn txn = TRY(Txn::write(*db));
  TRY(db->run("UPDATE uploads SET size = ?, touched = ? WHERE id = ?", {size, now().seconds, id}));
  TRY(unreserve(*db, lease.id(), reserved));
  TRY(txn.commit());
  saved = size;
  reserved = 0;
  return {};
}

/// kNotFound when the session is over: finished elsewhere, or removed with its repository.
Status Upload::State::find_row() {
  const auto row =
      TRY(core->database.lock()->number("SELECT size FROM uploads WHERE id = ? AND repository = ?", {id, repository}));
  if (row && TRY(names(path(), lock))) {
    saved = *row;
    return {};
  }
  over = true;
  return fail(Code::kNotFound, "the upload {} is over", id);
}

Status Upload::State::resume() {
  TRY(lock.retake(sys::LockKind::kExclusive));
  TRY(find_row());
  return rehash();
}

Result<oci::Digest> Upload::State::verify(const Expected& expected) {
  if (failed) return std::unexpected(*failed);
  if (expected.size && *expected.size != size)
    return fail(Code::kDataLoss, "the upload has {} bytes and should have {}", size, *expected.size);
  oci::Digest digest = hasher.finish();
  if (!expected.digest) return digest;
  if (expected.digest->algorithm() != oci::Algorithm::kSha256)
    digest = TRY(hash_file(path(), expected.digest->algorithm(), Cancel())).digest;
  if (digest != *expected.digest)
    return fail(Code::kDataLoss, "the upload's digest is {} and should be {}", digest.text(), expected.digest->text());
  return digest;
}

Result<Blob> Upload::State::commit(const Expected& expected) {
  TRY(find_row());
  const oci::Digest digest = TRY(verify(expected));
  // The row goes in the transaction that makes the blob one of the repository: whoever sees the one sees not the other.
  const auto link = [&](Connection& db) -> Status {
    if (TRY(db.run("DELETE FROM uploads WHERE id = ? AND repository = ?", {id, repository})) == 0)
      return fail(Code::kNotFound, "the upload {} is over", id);
    TRY(write_blob_link(db, repository, digest, now().seconds));
    return unreserve(db, lease.id(), reserved);
  };
  const sys::Fd file = TRY(sys::duplicate(fd()));
  const Blob blob = TRY(adopt(*core, lease.id(), {digest, size}, file.get(), path(), link));
  over = true;
  reserved = 0;
  (void)::unlink(path().c_str());  // still there when the blob was here already
  TRY(store->flush());
  return blob;
}

Status Upload::State::drop() {
  over = true;
  {
    auto db = core->database.lock();
    Txn txn = TRY(Txn::write(*db));
    TRY(db->run("DELETE FROM uploads WHERE id = ?", {id}));
    TRY(unreserve(*db, lease.id(), reserved));
    TRY(txn.commit());
  }
  reserved = 0;
  return sys::unlink_at(AT_FDCWD, path());
}

Upload::Upload(std::unique_ptr<State> state) : state_(std::move(state)) {}
Upload::Upload(Upload&&) noexcept = default;
Upload& Upload::operator=(Upload&&) noexcept = default;
Upload::~Upload() = default;
const std::string& Upload::id() const { return state_->id; }
std::int64_t Upload::size() const { return state_->size; }
Status Upload::write(std::string_view bytes) { return state_->write(bytes); }
Status Upload::resume() { return state_->resume(); }
void Upload::rest() {
  (void)state_->save();  // a failure costs only the count of bytes
  state_->lock.release();
}
Status Upload::save() { return explain_full(*state_->core, state_->save()); }
Status Upload::drop() { return std::exchange(state_, nullptr)->drop(); }

Result<Blob> Upload::commit(const Expected& expected) {
  const std::unique_ptr<State> state = std::move(state_);
  auto blob = context(explain_full(*state->core, state->commit(expected)), "while storing {}",
                      expected.digest ? expected.digest->text() : "an upload");
  if (!blob && !state->over) (void)state->drop();
  return blob;
}

Result<Upload> Repositories::begin_upload(std::string_view repository) {
  const std::shared_ptr<Core>& core = store_->state_->core;
  const auto attempt = [&]() -> Result<Upload> {
    const std::string id = TRY(fresh_id());
    TRY(sys::make_directories(fmt::format("{}/{}", core->root, kFolder), 0700));
    Lease lease = TRY(store_->lease(purpose_of(id)));
    // The lock comes before the row: a sweeper takes only what nobody holds.
    sys::FileLock lock = TRY(sys::FileLock::try_lock(path_of(*core, id), sys::LockKind::kExclusive));
    auto state = std::make_unique<Upload::State>(*store_, core, id, std::move(lock), std::move(lease));
    auto db = core->database.lock();
    Txn txn = TRY(Txn::write(*db));
    state->repository = TRY(repository_id(*db, scope_, repository));
    TRY(db->run("INSERT INTO uploads VALUES (?, ?, 0, ?)", {id, state->repository, now().seconds}));
    TRY(txn.commit());
    return Upload(std::move(state));
  };
  return context(explain_full(*core, attempt()), "while beginning an upload");
}

Result<Upload> Repositories::open_upload(std::string_view repository, std::string_view id) {
  const std::shared_ptr<Core>& core = store_->state_->core;
  const auto unknown = [&] { return fail(Code::kNotFound, "{} has no upload {}", repository, printable(id, 64)); };
  if (!is_id(id)) return unknown();
  const auto find = [&] { return find_upload(*core->database.lock(), scope_, repository, id); };
  if (!TRY(find())) return unknown();
  // The file is not made again: while it becomes a blob it has no name here, and its row still stands.
  auto locked = sys::FileLock::try_lock_existing(path_of(*core, id), sys::LockKind::kExclusive);
  if (!locked && locked.error().sys_errno() == ENOENT) {
    if (TRY(find()) && TRY(is_being_finished(*core, id)))
      return fail(Code::kAborted, "the upload {} is being finished", id);
    (void)TRY(drop_upload(repository, id));  // whoever was at it died: its bytes can not be had back
    return unknown();
  }
  sys::FileLock lock = TRY(std::move(locked));
  Lease lease = TRY(store_->lease(purpose_of(id)));
  auto state = std::make_unique<Upload::State>(*store_, core, std::string(id), std::move(lock), std::move(lease));
  const auto row = TRY(find());
  if (!row || !TRY(names(state->path(), state->lock))) {  // it ended between the two looks
    state->over = true;
    if (!row) (void)::unlink(state->path().c_str());
    return unknown();
  }
  state->repository = *row;
  TRY(state->rehash());
  state->saved = TRY(core->database.lock()->number("SELECT size FROM uploads WHERE id = ?", {id})).value_or(0);
  return Upload(std::move(state));
}

Result<bool> Repositories::drop_upload(std::string_view repository, std::string_view id) {
  const std::shared_ptr<Core>& core = store_->state_->core;
  if (!is_id(id)) return false;
  {
    auto db = core->database.lock();
    Txn txn = TRY(Txn::write(*db));
    if (!TRY(find_upload(*db, scope_, repository, id))) return false;
    TRY(db->run("DELETE FROM uploads WHERE id = ?", {id}));
    TRY(txn.commit());
  }
  remove_upload_files(*core, {std::string(id)});
  return true;
}

void remove_upload_files(const Core& core, const std::vector<std::string>& ids) {
  for (const auto& id : ids)
    if (is_id(id)) (void)::unlink(path_of(core, id).c_str());
}

// ---------------------------------------------------------------- gc
namespace {

/// Whether the upload's row is there and young enough.
Result<bool> is_wanted(Connection& db, const std::string& id, std::int64_t before) {
  return TRY(db.number("SELECT 1 FROM uploads WHERE id = ? AND touched > ?", {id, before})).has_value();
}

Result<std::int64_t> sweep_upload(Core& core, int folder, const std::string& name, std::int64_t before) {
  const auto info = TRY(sys::lstat_at(folder, name));
  if (!info) return 0;
  if (!S_ISREG(info->st_mode) || !is_id(name)) return 0;  // fsck's, not ours
  if (TRY(is_wanted(*core.database.lock(), name, before)) || info->st_mtim.tv_sec > before) return 0;
  auto lock = sys::FileLock::try_lock(path_of(core, name), sys::LockKind::kExclusive);
  if (!lock) return 0;  // in use
  {
    auto db = core.database.lock();
    Txn txn = TRY(Txn::write(*db));
    if (TRY(is_wanted(*db, name, before))) return 0;
    TRY(db->run("DELETE FROM uploads WHERE id = ?", {name}));
    TRY(txn.commit());
  }
  TRY(sys::unlink_at(folder, name));
  return info->st_size;
}

}  // namespace

Result<std::int64_t> sweep_uploads(Core& core, std::int64_t life) {
  auto opened = sys::open_at(core.directory.get(), std::string(kFolder), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!opened && opened.error().sys_errno() == ENOENT) return 0;
  const sys::Fd folder = TRY(std::move(opened));
  const std::int64_t before = now().seconds - life;
  std::int64_t freed = 0;
  std::set<std::string> files;
  for (auto& name : TRY(sys::list_directory(folder.get(), std::string(kFolder)))) {
    freed += TRY(sweep_upload(core, folder.get(), name, before));
    files.insert(std::move(name));
  }
  // Rows whose file is gone: an upload that ended between the two, or a file that somebody removed.
  std::vector<std::string> lost;
  {
    auto db = core.database.lock();
    Rows rows = TRY(db->query("SELECT id FROM uploads WHERE touched <= ?", {before}));
    while (TRY(rows.next()))
      if (!files.contains(rows.text(0))) lost.push_back(rows.text(0));
  }
  if (lost.empty()) return freed;
  auto db = core.database.lock();
  Txn txn = TRY(Txn::write(*db));
  for (const auto& id : lost) TRY(db->run("DELETE FROM uploads WHERE id = ?", {id}));
  TRY(txn.commit());
  return freed;
}

}  // namespace slipway::store
