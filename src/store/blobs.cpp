// Blobs: immutable bytes by digest.
//
// Commit: claim (a lease row, so that gc leaves the name alone) → fsync of the file → rename into blobs/ → fsync of the
// directory → row. The fsyncs are outside of transactions: other writers do not wait for them. Whatever fails in
// between leaves at most whole, verified bytes without a row, which gc takes once the claim's lease has ended.
#include <sys/stat.h>

#include <algorithm>

#include "base/text.hpp"
#include "store/core.hpp"
#include "store/state.hpp"
#include "sys/file.hpp"

namespace slipway::store {
namespace {

constexpr std::int64_t kFirstGrant = std::int64_t{1} << 20;
constexpr std::int64_t kLargestGrant = std::int64_t{64} << 20;

}  // namespace

Result<std::optional<Blob>> claim_blob(const Core& core, Connection& db, std::string_view lease,
                                       const oci::Digest& digest) {
  const auto size = TRY(db.number("SELECT size FROM blobs WHERE digest = ?", {digest}));
  if (!size || !core.has_bytes(digest, *size)) return std::nullopt;
  TRY(claim(db, lease, Need::kBlob, digest));
  return Blob{digest, *size};
}

Result<Hashed> hash_file(const std::string& path, oci::Algorithm algorithm, const Cancel& cancel) {
  const sys::Fd file = TRY(sys::open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  oci::Hasher hasher(algorithm);
  std::int64_t size = 0;
  std::string buffer(256 * 1024, '\0');
  while (const std::size_t got = TRY(sys::read_some(file.get(), buffer.data(), buffer.size()))) {
    TRY(cancel.check());
    hasher.update({buffer.data(), got});
    size += static_cast<std::int64_t>(got);
  }
  return Hashed{hasher.finish(), size};
}

struct BlobWriter::State {
  State(std::shared_ptr<Core> of, std::string lease_id, std::string at, sys::Fd fd)
      : core(std::move(of)), lease(std::move(lease_id)), path(std::move(at)), file(std::move(fd)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    (void)::unlink(path.c_str());
    if (reserved == 0) return;
    auto db = core->database.lock();
    if (auto txn = Txn::write(*db); txn && unreserve(*db, lease, reserved)) (void)txn->commit();
  }

  Status verify(const Expected& expected);

  std::shared_ptr<Core> core;
  std::string lease;
  std::string path;
  sys::Fd file;
  oci::Hasher hasher;
  std::int64_t written = 0;
  std::int64_t reserved = 0;
  std::optional<oci::Digest> digest;  ///< what the bytes are, once verified
  std::optional<Error> failed;        ///< of an earlier write: the file has a hole
};

Status BlobWriter::State::verify(const Expected& expected) {
  if (failed) return std::unexpected(*failed);
  if (expected.size && *expected.size != written)
    return fail(Code::kDataLoss, "the blob has {} bytes and should have {}", written, *expected.size);
  digest = hasher.finish();
  if (!expected.digest) return {};
  if (expected.digest->algorithm() != oci::Algorithm::kSha256)
    digest = TRY(hash_file(path, expected.digest->algorithm(), Cancel())).digest;
  if (*digest != *expected.digest)
    return fail(Code::kDataLoss, "the blob's digest is {} and should be {}", digest->text(), expected.digest->text());
  return {};
}

namespace {

/// The blob when it is here already; otherwise only its name is claimed.
Result<std::optional<Blob>> claim_name(Core& core, std::string_view lease, const oci::Digest& digest,
                                       const std::function<Status(Connection& db)>& with_row) {
  auto db = core.database.lock();
  Txn txn = TRY(Txn::write(*db));
  TRY(check_lease(*db, lease));
  auto existing = TRY(claim_blob(core, *db, lease, digest));
  if (existing && with_row) TRY(with_row(*db));
  if (!existing) TRY(claim(*db, lease, Need::kBlob, digest));
  TRY(txn.commit());
  return existing;
}

Status place(const Core& core, const oci::Digest& digest, int file, const std::string& path) {
  if (::fchmod(file, 0444) < 0) return fail_errno("cannot set the mode of {}", printable(path));
  TRY(sys::sync(file, path));
  const std::string directory = core.blob_directory(digest);
  if (digest.algorithm() != oci::Algorithm::kSha256) {
    TRY(sys::make_directories(directory, 0700));
    TRY(sys::sync_directory(core.root + "/blobs"));
  }
  // Over whatever has the name: bytes without a row are garbage, those of a row were missing or of another size.
  TRY(sys::rename_at(AT_FDCWD, path, AT_FDCWD, core.blob_path(digest)));
  return sys::sync_directory(directory);
}

Status write_row(Core& core, std::string_view lease, const Blob& blob,
                 const std::function<Status(Connection& db)>& with_row) {
  auto db = core.database.lock();
  Txn txn = TRY(Txn::write(*db));
  TRY(check_lease(*db, lease));
  TRY(db->run("INSERT OR REPLACE INTO blobs VALUES (?, ?)", {blob.digest, blob.size}));
  if (with_row) TRY(with_row(*db));
  return txn.commit();
}

}  // namespace

Result<Blob> adopt(Core& core, std::string_view lease, const Blob& blob, int file, const std::string& path,
                   const std::function<Status(Connection& db)>& with_row) {
  if (const auto existing = TRY(claim_name(core, lease, blob.digest, with_row))) return *existing;
  TRY(place(core, blob.digest, file, path));
  TRY(write_row(core, lease, blob, with_row));
  return blob;
}

BlobWriter::BlobWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
BlobWriter::BlobWriter(BlobWriter&&) noexcept = default;
BlobWriter& BlobWriter::operator=(BlobWriter&&) noexcept = default;
BlobWriter::~BlobWriter() = default;
std::int64_t BlobWriter::written() const { return state_->written; }
Result<sys::Fd> BlobWriter::reader() const { return sys::open(state_->path, O_RDONLY | O_NOFOLLOW); }

Status BlobWriter::write(std::string_view bytes) {
  State& state = *state_;
  if (state.failed) return std::unexpected(*state.failed);
  const auto attempt = [&]() -> Status {
    const auto size = static_cast<std::int64_t>(bytes.size());
    if (state.core->max_size > 0 && state.written + size > state.reserved) {
      const std::int64_t wanted = std::clamp(state.reserved, kFirstGrant, kLargestGrant);
      state.reserved += TRY(reserve(*state.core, state.lease, state.written + size - state.reserved, wanted));
    }
    TRY(sys::write_all(state.file.get(), bytes));
    state.hasher.update(bytes);
    state.written += size;
    return {};
  };
  Status done = context(explain_full(*state.core, attempt()), "while storing a blob");
  if (!done) state.failed = done.error();
  return done;
}

Result<Blob> BlobWriter::commit(const Expected& expected) {
  const std::unique_ptr<State> state = std::move(state_);  // spent, whatever happens
  const auto attempt = [&]() -> Result<Blob> {
    TRY(state->verify(expected));
    const auto release = [&](Connection& db) { return unreserve(db, state->lease, state->reserved); };
    const Blob blob = TRY(
        adopt(*state->core, state->lease, {*state->digest, state->written}, state->file.get(), state->path, release));
    state->reserved = 0;
    TRY(sys::close_checked(std::move(state->file), state->path));
    return blob;
  };
  return context(explain_full(*state->core, attempt()), "while storing {}",
                 expected.digest ? expected.digest->text() : "a blob");
}

Result<BlobWriter> Store::write_blob(const Lease& lease) {
  const std::shared_ptr<Core>& core = state_->core;
  const std::string path = lease.directory() + "/" + core->fresh_name("blob");
  auto file = sys::open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (!file) return std::unexpected(explain_full(*core, std::move(file).error()));
  return BlobWriter(std::make_unique<BlobWriter::State>(core, lease.id(), path, std::move(*file)));
}

Result<Blob> Store::put_blob(const Lease& lease, std::string_view bytes) {
  const oci::Digest digest = oci::Digest::of(bytes);
  if (const auto existing = TRY(acquire_blob(lease, digest))) return *existing;
  BlobWriter writer = TRY(write_blob(lease));
  TRY(writer.write(bytes));
  return writer.commit({.digest = digest, .size = static_cast<std::int64_t>(bytes.size())});
}

Result<std::optional<Blob>> Store::acquire_blob(const Lease& lease, const oci::Digest& digest) {
  auto db = state_->core->database.lock();
  Txn txn = TRY(Txn::write(*db));
  TRY(check_lease(*db, lease.id()));
  auto blob = TRY(claim_blob(*state_->core, *db, lease.id(), digest));
  TRY(txn.commit());
  return blob;
}

Result<sys::Fd> open_blob(Core& core, const oci::Digest& digest) {
  const auto row = [&] { return core.database.lock()->number("SELECT size FROM blobs WHERE digest = ?", {digest}); };
  const auto absent = [&] { return fail(Code::kNotFound, "the store has no blob {}", digest.text()); };
  const auto size = TRY(row());
  if (!size) return absent();
  const auto broken = [&](std::string_view how) {
    return std::unexpected(Error(Code::kDataLoss, fmt::format("the blob {} {}", digest.text(), how))
                               .with_hint("`slipway fsck --repair` drops it; pull or build it again"));
  };
  const auto open = [&] { return sys::open(core.blob_path(digest), O_RDONLY | O_NOFOLLOW | O_NONBLOCK); };
  const auto lost = [](const Result<sys::Fd>& file) { return !file && file.error().sys_errno() == ENOENT; };
  auto file = open();
  if (lost(file)) {
    // gc may have taken both since we looked, and somebody may have brought both back.
    if (!TRY(row())) return absent();
    file = open();
  }
  if (lost(file)) return broken("has lost its file");
  if (!file && file.error().sys_errno() == ELOOP) return broken("is a symbolic link");
  if (!file) return file;
  const struct stat info = TRY(sys::stat_fd(file->get(), core.blob_path(digest)));
  if (!S_ISREG(info.st_mode)) return broken("is no regular file");
  if (info.st_size != *size) return broken(fmt::format("has {} bytes and should have {}", info.st_size, *size));
  return file;
}

Result<std::string> read_blob(Core& core, const oci::Digest& digest, std::int64_t limit) {
  const sys::Fd file = TRY(open_blob(core, digest));
  std::string bytes = TRY(context(sys::read_all(file.get(), limit), "while reading the blob {}", digest.text()));
  oci::Hasher hasher(digest.algorithm());
  hasher.update(bytes);
  if (const oci::Digest found = hasher.finish(); found != digest) {
    return std::unexpected(Error(Code::kDataLoss, fmt::format("the bytes of the blob {} are broken", digest.text()))
                               .with_hint("`slipway fsck --repair` drops it; pull or build it again"));
  }
  return bytes;
}

Result<sys::Fd> Store::open_blob(const oci::Digest& digest) const { return store::open_blob(*state_->core, digest); }
Result<std::string> Store::read_blob(const oci::Digest& digest, std::int64_t limit) const {
  return store::read_blob(*state_->core, digest, limit);
}

}  // namespace slipway::store
