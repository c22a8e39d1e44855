#include "build/file_sums.hpp"

#include <array>
#include <cstring>

#include "base/text.hpp"
#include "base/time.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

constexpr std::string_view kHeader = "slipway sums 1\n";
constexpr std::size_t kRow = 5 * 8 + 32;
// A store through a shared mapping stamps a file only when its page was clean before, so a file whose pages may still
// be dirty can change without a trace. The kernel writes pages back after some 30 s (vm.dirty_expire_centisecs); this
// also covers the coarsest clock that a file system stamps with.
constexpr std::int64_t kSettledNs = 60'000'000'000;

/// A file that somebody writes to is tried again so often.
constexpr int kSumAttempts = 8;

std::int64_t nanoseconds(const timespec& time) { return time.tv_sec * std::int64_t{1'000'000'000} + time.tv_nsec; }

/// Of a file that has more holes than bytes; what is on a disk already may be copied until the other one is full.
Status check_room(const struct stat& info, const std::string& name, Room& room) {
  const std::int64_t stored = info.st_blocks * std::int64_t{512};
  if (info.st_size / 2 <= stored) return {};
  auto taken = room.take(info.st_size - stored, name);
  if (taken) return {};
  return std::unexpected(std::move(taken).error().with_hint("leave it out of the context with .dockerignore"));
}

}  // namespace

FileIdentity FileIdentity::of(const struct stat& info) {
  return {info.st_dev, info.st_ino, info.st_size, nanoseconds(info.st_mtim), nanoseconds(info.st_ctim)};
}

Result<oci::Digest> sum_file(int fd, const struct stat& info, const std::string& name, const Cancel& cancel) {
  oci::Hasher hash;
  std::array<char, 128 * 1024> buffer;
  std::int64_t total = 0;
  while (true) {
    const std::size_t got =
        TRY(context(sys::read_some(fd, buffer.data(), buffer.size()), "while reading {}", quoted(name)));
    if (got == 0) break;
    total += static_cast<std::int64_t>(got);
    hash.update({buffer.data(), got});
    TRY(cancel.check());
  }
  const struct stat after = TRY(sys::stat_fd(fd, name));
  if (total != info.st_size || FileIdentity::of(after) != FileIdentity::of(info))
    return std::unexpected(Error(Code::kAborted, fmt::format("{} changed while it was read", quoted(name)))
                               .with_hint("build again when nothing writes to the context"));
  const oci::Digest bytes = hash.finish();
  const auto capability = TRY(sys::get_xattr(fd, "security.capability", name));
  if (!capability) return bytes;
  return oci::Digest::of(bytes.text() + " security.capability " + *capability);
}

Result<std::unique_ptr<FileSums>> FileSums::open(store::Store& store, const std::string& directory) {
  std::unique_ptr<FileSums> sums(new FileSums(store, directory));
  const auto stored = TRY(store.recall("file-sums", directory));
  if (!stored || !stored->starts_with(kHeader) || (stored->size() - kHeader.size()) % kRow != 0) return sums;
  sums->entries_.reserve((stored->size() - kHeader.size()) / kRow);
  for (std::size_t at = kHeader.size(); at < stored->size(); at += kRow) {
    std::array<std::int64_t, 5> facts;
    std::memcpy(facts.data(), stored->data() + at, sizeof facts);
    Entry entry;
    entry.identity = {static_cast<std::uint64_t>(facts[0]), static_cast<std::uint64_t>(facts[1]), facts[2], facts[3],
                      facts[4]};
    std::memcpy(entry.raw.data(), stored->data() + at + sizeof facts, entry.raw.size());
    entry.trusted = true;
    sums->entries_.emplace(entry.identity.inode, entry);
  }
  return sums;
}

std::optional<oci::Digest> FileSums::known(const struct stat& info) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(info.st_ino);
  if (found == entries_.end() || found->second.identity != FileIdentity::of(info)) return std::nullopt;
  if (!found->second.trusted && !found->second.used) return std::nullopt;
  found->second.used = true;
  auto digest = oci::Digest::from_raw_sha256({found->second.raw.data(), found->second.raw.size()});
  return digest ? std::optional(*digest) : std::nullopt;
}

Result<oci::Digest> FileSums::sum(int fd, const struct stat& info, const std::string& name, const Cancel& cancel) {
  if (const auto digest = known(info)) return *digest;
  TRY(check_room(info, name, room_));
  Timestamp started = now();
  struct stat current = info;
  auto summed = sum_file(fd, current, name, cancel);
  for (int again = 0; again < kSumAttempts && !summed && summed.error().code() == Code::kAborted; ++again) {
    if (::lseek(fd, 0, SEEK_SET) < 0) return fail_errno("cannot read {} again", quoted(name));
    started = now();
    current = TRY(sys::stat_fd(fd, name));
    summed = sum_file(fd, current, name, cancel);
  }
  const oci::Digest digest = TRY(std::move(summed));
  Entry entry;
  entry.identity = FileIdentity::of(current);
  std::memcpy(entry.raw.data(), digest.raw().data(), entry.raw.size());
  entry.used = true;
  entry.trusted = entry.identity.ctime_ns + kSettledNs < started.seconds * 1'000'000'000 + started.nanoseconds;
  const std::lock_guard lock(mutex_);
  entries_[info.st_ino] = entry;
  changed_ = true;
  return digest;
}

bool FileSums::unchanged(const struct stat& info) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(info.st_ino);
  return found != entries_.end() && found->second.identity == FileIdentity::of(info);
}

Status FileSums::save() {
  const std::lock_guard lock(mutex_);
  if (!changed_) return {};
  std::size_t used = 0;
  for (const auto& [inode, entry] : entries_) used += entry.used ? 1 : 0;
  const bool forget =
      entries_.size() > 2 * used + 1000;  // other targets of the same context keep their sums for a while
  std::string out(kHeader);
  for (const auto& [inode, entry] : entries_) {
    if (!entry.trusted || (forget && !entry.used)) continue;
    const std::array<std::int64_t, 5> facts = {static_cast<std::int64_t>(entry.identity.device),
                                               static_cast<std::int64_t>(entry.identity.inode), entry.identity.size,
                                               entry.identity.mtime_ns, entry.identity.ctime_ns};
    out.append(reinterpret_cast<const char*>(facts.data()), sizeof facts);
    out.append(entry.raw.data(), entry.raw.size());
  }
  changed_ = false;
  return store_.remember("file-sums", key_, out);
}

}  // namespace slipway::build
