// Opening a root: whose it is, what it lies on, which schema it has.
#include <sys/random.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "base/text.hpp"
#include "store/core.hpp"
#include "sys/file.hpp"
#include "sys/lock.hpp"

namespace slipway::store {
namespace {

struct NetworkFileSystem {
  unsigned long magic;
  std::string_view name;
};
/// WAL's shared memory needs one machine (sqlite.org/wal.html). FUSE is let through: it tells nothing about itself.
constexpr std::array kNetworkFileSystems = {
    NetworkFileSystem{0x6969, "NFS"},       NetworkFileSystem{0x517b, "SMB"},
    NetworkFileSystem{0xff534d42, "CIFS"},  NetworkFileSystem{0xfe534d42, "SMB2"},
    NetworkFileSystem{0x01021997, "9P"},    NetworkFileSystem{0x00c36400, "Ceph"},
    NetworkFileSystem{0x5346414f, "AFS"},   NetworkFileSystem{0x6b414653, "AFS"},
    NetworkFileSystem{0x73757245, "Coda"},  NetworkFileSystem{0x01161970, "GFS2"},
    NetworkFileSystem{0x7461636f, "OCFS2"}, NetworkFileSystem{0x0bd00bd0, "Lustre"},
};

Status check_file_system(int directory, const std::string& root) {
  struct statfs info{};
  if (::fstatfs(directory, &info) < 0) return fail_errno("cannot look at the file system of {}", printable(root));
  for (const auto& entry : kNetworkFileSystems) {
    if (static_cast<unsigned long>(info.f_type) != entry.magic) continue;
    return std::unexpected(
        Error(Code::kFailedPrecondition,
              fmt::format("the store can not lie on a network file system: {} is on {}", printable(root), entry.name))
            .with_hint("give a directory of a local disk with --root or SLIPWAY_ROOT"));
  }
  return {};
}

Status check_owner(int directory, const std::string& root) {
  const struct stat info = TRY(sys::stat_fd(directory, root));
  if (info.st_uid != ::geteuid()) {
    return std::unexpected(
        Error(Code::kPermissionDenied,
              fmt::format("the store {} belongs to uid {}; this is uid {}", printable(root), info.st_uid, ::geteuid()))
            .with_hint("a store is used by its owner only: choose another with --root or SLIPWAY_ROOT"));
  }
  // Image content must be out of reach for other users of the machine (CVE-2021-41091).
  if ((info.st_mode & 0077) != 0 && ::fchmod(directory, 0700) < 0)
    return fail_errno("cannot close {} to other users", printable(root));
  return {};
}

Result<bool> exists(int directory, const std::string& name) { return TRY(sys::lstat_at(directory, name)).has_value(); }

Result<sys::Fd> open_directory(const std::string& root, bool create) {
  auto opened = sys::open(root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (opened) return opened;
  const int number = opened.error().sys_errno();
  if (number == ENOENT && !create) return fail(Code::kNotFound, "there is no store at {}", printable(root));
  if (number == ENOENT) {
    const auto slash = root.rfind('/');
    if (slash != std::string::npos && slash > 0) TRY(sys::make_directories(root.substr(0, slash), 0755));
    if (::mkdir(root.c_str(), 0700) < 0 && errno != EEXIST) return fail_errno("cannot create {}", printable(root));
    return sys::open(root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  }
  struct stat info{};
  if (::lstat(root.c_str(), &info) == 0 && S_ISLNK(info.st_mode)) {
    return std::unexpected(
        Error(Code::kFailedPrecondition, fmt::format("the store's directory {} is a symbolic link", printable(root)))
            .with_hint("give the directory that it points at"));
  }
  return opened;
}

Status make_layout(const Core& core) {
  for (const char* name : {"blobs", "blobs/sha256", "snapshots", "work", "work/.trash", "keys"}) {
    if (::mkdirat(core.directory.get(), name, 0700) < 0 && errno != EEXIST)
      return fail_errno("cannot create {}/{}", printable(core.root), name);
  }
  fill_reserve(core);
  return {};
}

/// Whether there is anything that a lost meta.db would have described.
Result<bool> has_blobs(const Core& core) {
  for (const char* name : {"blobs/sha256", "blobs/sha512"}) {
    const auto dir = sys::open_at(core.directory.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!dir) continue;
    if (!TRY(sys::list_directory(dir->get(), name)).empty()) return true;
  }
  return false;
}

Status refuse_newer(const Core& core, std::int64_t version) {
  return fail(Code::kFailedPrecondition,
              "the store {} was written by a newer slipway (schema {}, this program knows {}); use that version, or "
              "another store with --root",
              printable(core.root), version, kSchemaVersion);
}

Status install(Core& core, Connection db) {
  *core.database.lock() = std::move(db);
  return {};
}

/// The rare ways in: no database yet, an older one, a lost or broken one. One process at a time.
Status prepare(Core& core, bool create) {
  const sys::FileLock lock = TRY(sys::FileLock::lock(core.gc_lock(), sys::LockKind::kExclusive, Cancel()));
  const bool known = TRY(exists(core.directory.get(), "blobs"));
  if (!known && !create) return fail(Code::kNotFound, "there is no store at {}", printable(core.root));
  TRY(make_layout(core));
  const bool here = TRY(exists(core.directory.get(), "meta.db"));
  if (here) {
    auto db = Connection::open(core.database_path(), OpenMode::kExisting);
    const auto checked = db ? check_schema(*db) : Result<SchemaCheck>(std::unexpected(db.error()));
    if (!checked && !(db && db->broken())) return std::unexpected(checked.error());
    if (checked && checked->state == SchemaState::kCurrent) return install(core, std::move(*db));
    if (checked && checked->state == SchemaState::kNewer) TRY(refuse_newer(core, checked->version));
    // An empty one is what a crash of the first open leaves; beside blobs it is one that lost everything.
    const bool fresh = checked && checked->state == SchemaState::kMissing && !TRY(has_blobs(core));
    if (fresh || (checked && checked->state == SchemaState::kOlder)) {
      TRY(migrate(*db));
      return install(core, std::move(*db));
    }
  }
  if (here || TRY(has_blobs(core))) return rebuild(core);
  Connection db = TRY(Connection::open(core.database_path(), OpenMode::kCreate));
  TRY(migrate(db));
  TRY(sys::sync(core.directory.get(), core.root));
  return install(core, std::move(db));
}

Status open_database(Core& core, bool create) {
  if (TRY(exists(core.directory.get(), "meta.db"))) {
    auto db = Connection::open(core.database_path(), OpenMode::kExisting);
    if (db) {
      const auto checked = check_schema(*db);
      if (checked && checked->state == SchemaState::kCurrent) return install(core, std::move(*db));
      if (checked && checked->state == SchemaState::kNewer) TRY(refuse_newer(core, checked->version));
      if (!checked && !db->broken()) return std::unexpected(checked.error());
    }
  }
  return prepare(core, create);
}

/// Names in the trash must not meet those that a killed process left there.
std::uint64_t first_serial() {
  std::uint32_t start = 0;
  if (::getrandom(&start, sizeof start, 0) != sizeof start) start = static_cast<std::uint32_t>(::getpid());
  return static_cast<std::uint64_t>(start) << 16;
}

std::string boot_id() {
  auto text = sys::read_file("/proc/sys/kernel/random/boot_id", 128);
  // Without the id nothing may be taken over from another run of the machine: a name that never comes again.
  if (!text) return fmt::format("unknown-{}", ::getpid());
  return std::string(trim(*text));
}

/// A directory of someone's files is not made a store by a slip of --root.
Status check_content(const Core& core) {
  const auto names = TRY(sys::list_directory(core.directory.get(), core.root));
  bool foreign = false;
  for (const auto& name : names) {
    if (name == "blobs" || name == "meta.db" || name == "gc.lock") return {};
    // `work` alone: of a creation that was killed, or of `slipway doctor`, which tries mounts on this file system.
    foreign = foreign || (name != "lost+found" && name != "work");
  }
  if (!foreign) return {};
  return fail(Code::kFailedPrecondition, "{} holds other files and is no store; give an empty or new directory",
              printable(core.root));
}

Result<std::string> absolute(const std::string& root) {
  if (root.empty()) return fail(Code::kInvalidArgument, "the store's directory has an empty name");
  std::string path = root;
  if (path.front() != '/') {
    const std::unique_ptr<char, void (*)(void*)> here(::getcwd(nullptr, 0), &std::free);
    if (!here) return fail_errno("cannot tell the current directory");
    path = std::string(here.get()) + "/" + path;
  }
  while (path.size() > 1 && path.back() == '/') path.pop_back();  // "link/" would follow the link
  return path;
}

}  // namespace

std::string Core::blob_directory(const oci::Digest& digest) const {
  return root + (digest.algorithm() == oci::Algorithm::kSha512 ? "/blobs/sha512" : "/blobs/sha256");
}
std::string Core::blob_path(const oci::Digest& digest) const { return blob_directory(digest) + "/" + digest.hex(); }

bool Core::has_bytes(const oci::Digest& digest, std::int64_t size) const {
  struct stat info{};
  return ::lstat(blob_path(digest).c_str(), &info) == 0 && S_ISREG(info.st_mode) && info.st_size == size;
}

Result<std::shared_ptr<Core>> open_core(const std::string& root, const OpenOptions& options) {
  auto core = std::make_shared<Core>();
  core->root = TRY(absolute(root));
  core->directory = TRY(open_directory(core->root, options.create));
  // Without "..", links and doubled slashes: others compare paths below the root with it.
  const std::unique_ptr<char, void (*)(void*)> real(::realpath(core->root.c_str(), nullptr), &std::free);
  if (!real) return fail_errno("cannot resolve the store's directory {}", printable(core->root));
  core->root = real.get();
  core->max_size = options.max_size;
  core->remove_tree = options.remove_tree ? options.remove_tree : sys::remove_tree;
  core->boot = boot_id();
  core->serial = first_serial();
  TRY(check_owner(core->directory.get(), core->root));
  TRY(check_file_system(core->directory.get(), core->root));
  TRY(check_content(*core));
  Status opened = open_database(*core, options.create);
  // A full disk has no room for SQLite's shared memory file; this is what the reserve is for.
  if (!opened && opened.error().code() == Code::kResourceExhausted && release_reserve(*core))
    opened = open_database(*core, options.create);
  if (opened) opened = match_ids(*core);
  if (!opened) return std::unexpected(explain_full(*core, std::move(opened).error()));
  return core;
}

}  // namespace slipway::store
