#include "layer/tree_file.hpp"

#include <fcntl.h>

#include <algorithm>
#include <charconv>

#include "base/text.hpp"
#include "layer/capability.hpp"
#include "layer/owner.hpp"
#include "layer/whiteout.hpp"
#include "sys/file.hpp"

namespace slipway::layer {
namespace {

/// What an image may carry on every rung alike: trusted.* can not be seen from a user namespace, other security.*
/// belong to this machine.
bool is_exported_xattr(std::string_view name) {
  return (name.starts_with("user.") && !is_control_xattr(name)) || name == kCapabilityXattr;
}

bool parse_number(std::string_view text, int base, std::uint32_t& value) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size();
}

/// kDeviceXattr's value into an entry.
Status apply_device(std::string_view value, Entry& entry) {
  const auto parts = split(value, ':');
  const bool good =
      (parts.size() == 4 || parts.size() == 6) && (parts[0] == "c" || parts[0] == "b") &&
      parse_number(parts[1], 10, entry.dev_major) && parse_number(parts[2], 10, entry.dev_minor) &&
      parse_number(parts[3], 8, entry.mode) &&
      (parts.size() == 4 || (parse_number(parts[4], 10, entry.uid) && parse_number(parts[5], 10, entry.gid)));
  if (!good || entry.mode > 07777)
    return fail(Code::kFailedPrecondition, "{} has the bad attribute {} {}", quoted(entry.path), kDeviceXattr,
                quoted(value, 64));
  entry.type = parts[0] == "c" ? EntryType::kCharDevice : EntryType::kBlockDevice;
  return {};
}

Status read_xattrs(TreeFile& file) {
  Entry& entry = file.entry;
  for (auto& name : TRY(sys::list_xattrs(file.fd.get(), entry.path))) {
    if (name == kRedirectXattr || name == kMetacopyXattr)
      return fail(Code::kFailedPrecondition,
                  "{} carries {}: only an overlay mounted with redirect_dir=nofollow,metacopy=off can be read",
                  quoted(entry.path), name);
    const bool control = name == kOpaqueXattr || name == kDeviceXattr;
    if (!control && !is_exported_xattr(name)) continue;
    auto value = TRY(sys::get_xattr(file.fd.get(), name, entry.path));
    if (!value) continue;
    if (name == kOpaqueXattr) {
      file.opaque = entry.type == EntryType::kDirectory && *value == "y";
    } else if (name == kDeviceXattr) {
      // Of root's, which no other user of a step can write to: who may not make a device may not claim one either.
      const bool ours = file.info.st_uid == 0 && (file.info.st_mode & 07777) == 0;
      if (entry.type == EntryType::kFile && entry.size == 0 && ours) TRY(apply_device(*value, entry));
    } else {
      entry.xattrs.emplace_back(std::move(name), *std::move(value));
      if (entry.xattrs.back().first == kCapabilityXattr)
        entry.xattrs.back().second = without_namespace(entry.xattrs.back().second);
    }
  }
  std::sort(entry.xattrs.begin(), entry.xattrs.end());
  return {};
}

std::optional<EntryType> type_of(const struct stat& info) {
  switch (info.st_mode & S_IFMT) {
    case S_IFREG:
      return EntryType::kFile;
    case S_IFDIR:
      return EntryType::kDirectory;
    case S_IFLNK:
      return EntryType::kSymlink;
    case S_IFCHR:
      return EntryType::kCharDevice;
    case S_IFBLK:
      return EntryType::kBlockDevice;
    case S_IFIFO:
      return EntryType::kFifo;
    default:
      return std::nullopt;
  }
}

void fill_entry(const struct stat& info, Entry& entry) {
  entry.mode = info.st_mode & 07777;
  entry.uid = info.st_uid;
  entry.gid = info.st_gid;
  entry.mtime = {.seconds = info.st_mtim.tv_sec, .nanoseconds = 0};
  entry.size = S_ISREG(info.st_mode) ? info.st_size : 0;
  if (!S_ISCHR(info.st_mode) && !S_ISBLK(info.st_mode)) return;
  entry.dev_major = major(info.st_rdev);
  entry.dev_minor = minor(info.st_rdev);
}

}  // namespace

Result<std::optional<TreeFile>> open_tree_file(int dir, const std::string& name, const struct stat& info,
                                               std::string path) {
  const auto type = type_of(info);
  if (!type) return std::nullopt;
  TreeFile file{.entry = {.type = *type, .path = std::move(path)}, .info = info};
  if (*type == EntryType::kFile || *type == EntryType::kDirectory) {
    file.fd = TRY(sys::open_at(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
    file.info = TRY(sys::stat_fd(file.fd.get(), file.entry.path));
    TRY(recall_owner(file.fd.get(), file.info, file.entry.path));
    if ((file.info.st_mode & S_IFMT) != (info.st_mode & S_IFMT))
      return fail(Code::kAborted, "{} changed while it was read", quoted(file.entry.path));
  }
  if (!file.fd) TRY(recall_owner_at(dir, name, file.info));
  fill_entry(file.info, file.entry);
  if (file.fd) TRY(read_xattrs(file));
  if (*type == EntryType::kSymlink) file.entry.link_target = TRY(sys::readlink_at(dir, name));
  return file;
}

Result<TreeFile> open_tree_root(int dir) {
  TreeFile file{.entry = {.type = EntryType::kDirectory, .path = ""}};
  file.fd = TRY(sys::open_at(dir, ".", O_RDONLY | O_DIRECTORY));
  file.info = TRY(sys::stat_fd(file.fd.get(), "/"));
  TRY(recall_owner(file.fd.get(), file.info, "/"));
  fill_entry(file.info, file.entry);
  TRY(read_xattrs(file));
  return file;
}

Result<bool> BytesEqual::operator()(int a, int b, std::int64_t size, const std::string& path) {
  constexpr std::size_t kChunk = 128 * 1024;
  first_.resize(kChunk);
  second_.resize(kChunk);
  const auto fill = [&](int fd, std::string& buffer, std::int64_t offset) -> Result<std::string_view> {
    const auto wanted = static_cast<std::size_t>(std::min<std::int64_t>(kChunk, size - offset));
    std::size_t have = 0;
    while (have < wanted) {
      const std::size_t got = TRY(
          context(sys::read_some_at(fd, buffer.data() + have, wanted - have, offset + static_cast<std::int64_t>(have)),
                  "while comparing {}", quoted(path)));
      if (got == 0) break;
      have += got;
    }
    return std::string_view(buffer.data(), have);
  };
  for (std::int64_t offset = 0; offset < size; offset += static_cast<std::int64_t>(kChunk))
    if (TRY(fill(a, first_, offset)) != TRY(fill(b, second_, offset))) return false;
  return true;
}

}  // namespace slipway::layer
