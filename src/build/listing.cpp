#include "build/listing.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "oci/digest.hpp"

namespace slipway::build {
namespace {

constexpr std::uint64_t kVersion = 1;
constexpr std::size_t kPathLimit = 4096;
constexpr std::uint64_t kSameAttributes = 1;
constexpr std::uint64_t kNumberLimit = UINT32_MAX;

std::size_t shared_beginning(std::string_view a, std::string_view b) {
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

/// What differs between two of one path; nothing when they are equal.
std::optional<FileChange::Kind> difference(const ListedFile& before, const ListedFile& now) {
  using Kind = FileChange::Kind;
  if ((before.mode & S_IFMT) != (now.mode & S_IFMT)) return Kind::kType;
  if (before.sum != now.sum) return Kind::kContent;
  if (before.mode != now.mode) return Kind::kMode;
  if (before.uid != now.uid || before.gid != now.gid) return Kind::kOwner;
  return std::nullopt;
}

}  // namespace

void ListingWriter::add(std::string_view path, std::uint32_t mode, std::uint32_t uid, std::uint32_t gid,
                        std::string_view told) {
  if (full_) return;
  path_bytes_ += path.size();
  full_ = ++count_ > kListedFiles || path.size() > kPathLimit || path_bytes_ > kListedPathBytes ||
          out_.size() > kListingBytes;
  if (full_) return;
  if (count_ == 1) out_.number(kVersion);
  const std::size_t shared = shared_beginning(last_.path, path);
  out_.number(shared);
  out_.text(path.substr(shared));
  const bool same = count_ > 1 && mode == last_.mode && uid == last_.uid && gid == last_.gid;
  out_.number(same ? kSameAttributes : 0);
  if (!same) {
    out_.number(mode);
    out_.number(uid);
    out_.number(gid);
  }
  out_.raw(oci::Digest::of(told).raw().substr(0, kSumBytes));
  last_ = {.path = std::string(path), .mode = mode, .uid = uid, .gid = gid, .sum = {}};
}

std::string ListingWriter::take() {
  if (count_ == 0) out_.number(kVersion);
  return full_ ? std::string() : out_.take();
}

Result<std::vector<ListedFile>> read_listing(std::string_view packed) {
  if (packed.size() > kListingBytes + 2 * kPathLimit) return Unpacker::broken();
  Unpacker in(packed);
  if (TRY(in.number()) != kVersion) return Unpacker::broken();
  std::vector<ListedFile> files;
  ListedFile last;
  std::size_t path_bytes = 0;
  while (!in.end()) {
    if (files.size() == kListedFiles) return Unpacker::broken();
    last.path.resize(TRY(in.number(last.path.size())));
    last.path += TRY(in.text(kPathLimit));
    path_bytes += last.path.size();
    if (last.path.size() > kPathLimit || path_bytes > kListedPathBytes) return Unpacker::broken();
    if (TRY(in.number(kSameAttributes)) == 0) {
      last.mode = static_cast<std::uint32_t>(TRY(in.number(kNumberLimit)));
      last.uid = static_cast<std::uint32_t>(TRY(in.number(kNumberLimit)));
      last.gid = static_cast<std::uint32_t>(TRY(in.number(kNumberLimit)));
    }
    last.sum = TRY(in.raw(ListingWriter::kSumBytes));
    files.push_back(last);
  }
  std::stable_sort(files.begin(), files.end(),
                   [](const ListedFile& a, const ListedFile& b) { return a.path < b.path; });
  return files;
}

std::optional<FileChange> first_change(const std::vector<ListedFile>& before, const std::vector<ListedFile>& now) {
  std::optional<FileChange> first;
  std::size_t files = 0, all = 0;
  const auto differs = [&](FileChange::Kind kind, const ListedFile& file) {
    const bool directory = S_ISDIR(file.mode);
    if (!first || (first->directory && !directory)) first = {kind, file.path, directory, 0};
    ++all;
    if (!directory) ++files;
  };
  std::size_t i = 0, k = 0;
  while (i < before.size() || k < now.size()) {
    const int order = i == before.size() ? 1 : k == now.size() ? -1 : before[i].path.compare(now[k].path);
    if (order < 0) {
      differs(FileChange::Kind::kRemoved, before[i++]);
    } else if (order > 0) {
      differs(FileChange::Kind::kAdded, now[k++]);
    } else if (const auto kind = difference(before[i++], now[k++])) {
      differs(*kind, now[k - 1]);
    }
  }
  if (first) first->others = (first->directory ? all : files) - 1;
  return first;
}

}  // namespace slipway::build
