#include "build/chmod.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "base/text.hpp"

namespace slipway::build {
namespace {

constexpr mode_t kUser = 04700, kGroup = 02070, kOther = 01007;

mode_t spread(mode_t rwx) { return rwx << 6 | rwx << 3 | rwx; }

}  // namespace

Result<ModeChange> ModeChange::parse(const std::string& text) {
  const auto bad = [&] {
    return fail(Code::kInvalidArgument,
                "invalid chmod parameter: '{}'. it should be octal string and between 0 and 07777",
                printable(text, 64));
  };
  ModeChange change;
  if (text.empty()) return bad();
  if (std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    mode_t value = 0;
    for (const char c : text) {
      if (c > '7' || value > 07777) return bad();
      value = value * 8 + static_cast<mode_t>(c - '0');
    }
    if (value > 07777) return bad();
    change.octal_ = value;
    return change;
  }
  for (const auto part : split(text, ',')) {
    std::size_t at = 0;
    mode_t who = 0;
    for (; at < part.size() && std::string_view("ugoa").contains(part[at]); ++at)
      who |= part[at] == 'u' ? kUser : part[at] == 'g' ? kGroup : part[at] == 'o' ? kOther : kUser | kGroup | kOther;
    if (who == 0) who = kUser | kGroup | kOther;
    if (at == part.size()) return bad();
    while (at < part.size()) {
      Clause clause{.who = who, .op = part[at]};
      if (!std::string_view("+-=").contains(clause.op)) return bad();
      for (++at; at < part.size() && !std::string_view("+-=").contains(part[at]); ++at) {
        switch (part[at]) {
          case 'r':
            clause.bits |= spread(4);
            break;
          case 'w':
            clause.bits |= spread(2);
            break;
          case 'x':
            clause.bits |= spread(1);
            break;
          case 'X':
            clause.conditional_x = true;
            break;
          case 's':
            clause.bits |= S_ISUID | S_ISGID;
            break;
          case 't':
            clause.bits |= S_ISVTX;
            break;
          case 'u':
          case 'g':
          case 'o':
            clause.copy_from = part[at];
            break;
          default:
            return bad();
        }
      }
      change.clauses_.push_back(clause);
    }
  }
  return change;
}

mode_t ModeChange::apply(mode_t mode) const {
  if (octal_) return *octal_;
  mode_t bits = mode & 07777;
  for (const Clause& clause : clauses_) {
    mode_t set = clause.bits;
    if (clause.conditional_x && (S_ISDIR(mode) || (bits & 0111) != 0)) set |= spread(1);
    if (clause.copy_from != 0)
      set |= spread(bits >> (clause.copy_from == 'u' ? 6 : clause.copy_from == 'g' ? 3 : 0) & 7);
    set &= clause.who;
    if (clause.op == '=')
      bits = (bits & ~clause.who) | set;
    else if (clause.op == '+')
      bits |= set;
    else
      bits &= ~set;
  }
  return bits;
}

}  // namespace slipway::build
