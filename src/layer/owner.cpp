#include "layer/owner.hpp"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <optional>
#include <string_view>

#include "base/text.hpp"
#include "layer/whiteout.hpp"
#include "sys/file.hpp"

namespace slipway::layer {
namespace {

constexpr std::size_t kRecordLimit = 64;  ///< bytes of a record

/// "NAME in DIR" for calls that know no descriptor of what is to be asked.
std::string alias(int dir, const std::string& name) { return fmt::format("/proc/self/fd/{}/{}", dir, name); }

std::string link_record(const std::string& name) { return kOwnerXattr + ":" + name; }

template <class T>
bool take(std::string_view& text, T& value) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(parsed.ptr - text.data()));
  if (!text.empty()) {
    if (text.front() != ':') return false;
    text.remove_prefix(1);
  }
  return true;
}

struct Record {
  std::uint32_t uid = 0, gid = 0;
  std::optional<std::int64_t> seconds, nanoseconds;
};

Result<Record> parse(std::string_view text, const std::string& name) {
  Record record;
  std::string_view rest = text;
  bool good = take(rest, record.uid) && take(rest, record.gid);
  if (good && !rest.empty())
    good = take(rest, record.seconds.emplace()) && take(rest, record.nanoseconds.emplace()) && rest.empty();
  constexpr std::uint32_t kNobody = 0xffffffff;  // chown(2)'s "leave it"
  if (!good || record.uid == kNobody || record.gid == kNobody)
    return fail(Code::kFailedPrecondition, "{} has the bad attribute {} {}", quoted(name), kOwnerXattr,
                quoted(text, kRecordLimit));
  return record;
}

/// What a call of the getxattr family put into `buffer`; nothing where there is no such attribute.
Result<std::optional<std::string_view>> got(ssize_t size, const std::array<char, kRecordLimit>& buffer,
                                            const std::string& name) {
  if (size >= 0) return std::string_view(buffer.data(), static_cast<std::size_t>(size));
  if (errno == ENODATA || errno == ENOTSUP || errno == ENOENT) return std::nullopt;
  return fail_errno("cannot read the recorded owner of {}", quoted(name));
}

bool not_mapped() { return errno == EINVAL && records_owners(); }

Status recorded(int result, const std::string& name, std::uint32_t uid, std::uint32_t gid) {
  if (result == 0) return {};
  if (errno == ENOSPC || errno == ERANGE || errno == ENAMETOOLONG)
    return std::unexpected(
        errno_error(errno, fmt::format("cannot record the owner {}:{} of {}", uid, gid, quoted(name)))
            .with_hint("give this user a range in /etc/subuid and /etc/subgid (slipway doctor)"));
  return fail_errno("cannot record the owner {}:{} of {}", uid, gid, quoted(name));
}

}  // namespace

bool records_owners() {
  static const bool one = [] {
    const auto map = sys::read_file("/proc/self/uid_map", 1 << 16);
    if (!map) return false;
    std::string_view text = *map;
    const auto word = [&text] {
      while (!text.empty() && (text.front() == ' ' || text.front() == '\n')) text.remove_prefix(1);
      const std::string_view found = text.substr(0, text.find_first_of(" \n"));
      text.remove_prefix(found.size());
      return found;
    };
    (void)word();
    (void)word();
    return word() == "1" && word().empty();
  }();
  return one;
}

Status give(int fd, std::uint32_t uid, std::uint32_t gid, const std::string& name) {
  if (::fchown(fd, uid, gid) == 0) {
    if (records_owners()) (void)::fremovexattr(fd, kOwnerXattr.c_str());
    return {};
  }
  if (!not_mapped()) return fail_errno("cannot set the owner of {} to {}:{}", quoted(name), uid, gid);
  const std::string text = fmt::format("{}:{}", uid, gid);
  return recorded(::fsetxattr(fd, kOwnerXattr.c_str(), text.data(), text.size(), 0), name, uid, gid);
}

Status give_at(int dir, const std::string& name, std::uint32_t uid, std::uint32_t gid, const timespec& mtime) {
  if (::fchownat(dir, name.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW) == 0) {
    if (records_owners()) (void)::fremovexattr(dir, link_record(name).c_str());
    return {};
  }
  if (!not_mapped()) return fail_errno("cannot set the owner of {} to {}:{}", quoted(name), uid, gid);
  const std::string text = fmt::format("{}:{}:{}:{}", uid, gid, mtime.tv_sec, mtime.tv_nsec);
  return recorded(::fsetxattr(dir, link_record(name).c_str(), text.data(), text.size(), 0), name, uid, gid);
}

Status recall_owner(int fd, struct stat& info, const std::string& name) {
  if (!records_owners()) return {};
  std::array<char, kRecordLimit> buffer{};
  const auto text = TRY(got(::fgetxattr(fd, kOwnerXattr.c_str(), buffer.data(), buffer.size()), buffer, name));
  if (!text) return {};
  const Record record = TRY(parse(*text, name));
  info.st_uid = record.uid;
  info.st_gid = record.gid;
  return {};
}

Status recall_owner_at(int dir, const std::string& name, struct stat& info) {
  if (!records_owners()) return {};
  std::array<char, kRecordLimit> buffer{};
  const bool own = S_ISREG(info.st_mode) || S_ISDIR(info.st_mode);
  const ssize_t size = own ? ::lgetxattr(alias(dir, name).c_str(), kOwnerXattr.c_str(), buffer.data(), buffer.size())
                           : ::fgetxattr(dir, link_record(name).c_str(), buffer.data(), buffer.size());
  const auto text = TRY(got(size, buffer, name));
  if (!text) return {};
  const Record record = TRY(parse(*text, name));
  if (!own && (record.seconds != info.st_mtim.tv_sec || record.nanoseconds != info.st_mtim.tv_nsec)) return {};
  info.st_uid = record.uid;
  info.st_gid = record.gid;
  return {};
}

}  // namespace slipway::layer
