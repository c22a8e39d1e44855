#include "build/archive.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <vector>

#include "base/text.hpp"
#include "build/context_archive.hpp"
#include "build/room.hpp"
#include "build/source_walk.hpp"
#include "layer/codec.hpp"
#include "layer/entry_path.hpp"
#include "layer/extractor.hpp"
#include "layer/tar_reader.hpp"
#include "layer/whiteout.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

constexpr std::int64_t kReserveStep = 16 << 20;

/// The plain bytes of an archive, piece by piece; not more than the limits allow.
class PlainBytes {
 public:
  PlainBytes(int file, const layer::Limits& limits, const Cancel& cancel)
      : file_(file), left_(limits.unpacked_bytes), cancel_(cancel) {}

  Result<std::string_view> next() {
    TRY(cancel_.check());
    if (!plain_)
      plain_ = TRY(layer::archive_decoder([this](char* to, std::size_t size) -> Result<std::size_t> {
        const std::size_t got = TRY(sys::read_some_at(file_, to, size, at_));
        at_ += static_cast<std::int64_t>(got);
        return got;
      }));
    const std::size_t got = TRY((*plain_)(buffer_.data(), buffer_.size()));
    left_ -= static_cast<std::int64_t>(got);
    if (left_ < 0) return fail(Code::kOutOfRange, "the archive unpacks to too many bytes");
    return std::string_view(buffer_.data(), got);
  }

 private:
  int file_;
  std::int64_t at_ = 0;
  std::int64_t left_;
  const Cancel& cancel_;
  std::optional<layer::Source> plain_;
  std::vector<char> buffer_ = std::vector<char>(256 * 1024);
};

}  // namespace

Result<bool> is_archive(int file, const Cancel& cancel) {
  const layer::Limits limits;
  PlainBytes bytes(file, limits, cancel);
  layer::TarReader reader([&] { return bytes.next(); }, limits);
  layer::Entry entry;
  const auto first = reader.next(entry);
  if (first) return *first;
  switch (first.error().code()) {
    case Code::kInvalidArgument:  // no tar
    case Code::kDataLoss:         // or not what its first bytes promised
      return false;
    default:
      return std::unexpected(first.error());
  }
}

Result<Archive> Archive::unpack(int file, store::Store& store, const store::Lease& lease, const ArchiveOptions& options,
                                const Cancel& cancel) {
  Archive archive(TRY(store.draft_snapshot(lease)));
  TRY(archive.extract(file, options, cancel));
  if (options.mode) TRY(archive.change_modes(*options.mode, cancel));
  return archive;
}

Status Archive::extract(int file, const ArchiveOptions& options, const Cancel& cancel) {
  layer::UnpackOptions unpack{.whiteouts = layer::Whiteouts::kLiteral};
  if (options.owner) unpack.owner = {options.owner->uid, options.owner->gid};
  const sys::Fd root = TRY(sys::open(draft_.fs(), O_RDONLY | O_DIRECTORY));
  PlainBytes bytes(file, unpack.limits, cancel);
  layer::TarReader reader([&] { return bytes.next(); }, unpack.limits);
  layer::Extractor extractor(root.get(), unpack, reader, cancel);
  layer::Entry entry;
  Room room(draft_.fs());
  while (TRY(reader.next(entry))) {
    TRY(room.take(entry.size, entry.path));
    if (entry.size <= unpack.limits.unpacked_bytes) TRY(reserve(extractor.tree_bytes() + entry.size));
    TRY(extractor.add(entry));
    if (entry.type == layer::EntryType::kDirectory)
      named_.insert(std::hash<std::string>{}(TRY(layer::clean_path(entry.path, unpack.limits))));
  }
  TRY(read_padding([&] { return bytes.next(); }));
  return extractor.finish();
}

/// In steps: each is a transaction of the store.
Status Archive::reserve(std::int64_t bytes) {
  if (bytes - reserved_ < kReserveStep) return {};
  TRY(draft_.reserve(bytes));
  reserved_ = bytes;
  return {};
}

Status Archive::change_modes(const ModeChange& mode, const Cancel& cancel) const {
  const Tree tree(TRY(layer::MergedDir::open_paths({draft_.fs()}, layer::MergedDir::Kind::kPlain)), std::nullopt);
  const Selection everything;
  SourceWalk walk = TRY(SourceWalk::open(tree, tree.root(), everything));
  SourceWalk::Step step;
  while (TRY(walk.next(step))) {
    TRY(cancel.check());
    const struct stat& info = step.found.info;
    if (step.kind == SourceWalk::Kind::kUp || S_ISLNK(info.st_mode)) continue;
    if (S_ISREG(info.st_mode) && (info.st_mode & 07777U) == 0 && info.st_size == 0) {
      const sys::Fd fd = TRY(step.parent->open_child(step.name, step.found));
      if (TRY(sys::get_xattr(fd.get(), layer::kDeviceXattr, step.name))) continue;  // it stands for a device
    }
    if (::fchmodat(step.parent->top(), step.name.c_str(), mode.apply(info.st_mode), 0) < 0)
      return fail_errno("cannot set the mode of {}", quoted(step.path));
  }
  return {};
}

}  // namespace slipway::build
