#include "distribution/htpasswd.hpp"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "base/time.hpp"
#include "sys/file.hpp"

namespace slipway::distribution {
namespace {

constexpr std::int64_t kLookAgainMs = 1000;
constexpr std::size_t kUserLimit = 255;
constexpr std::size_t kPasswordLimit = 511;  ///< crypt(3)'s own, less one
constexpr int kCostLimit = 16;               ///< seconds each

/// "$2y$10$" and 53 characters of bcrypt's alphabet.
bool is_bcrypt(std::string_view hash) {
  if (hash.size() != 60 || !hash.starts_with("$2") || (hash[2] != 'a' && hash[2] != 'b' && hash[2] != 'y'))
    return false;
  if (hash[3] != '$' || hash[6] != '$') return false;
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (!digit(hash[4]) || !digit(hash[5])) return false;
  return std::ranges::all_of(hash.substr(7), [&](char c) {
    return digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '/';
  });
}

int cost_of(std::string_view hash) { return (hash[4] - '0') * 10 + (hash[5] - '0'); }

std::string stamp_of(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return "";
  return fmt::format("{}:{}:{}:{}.{}", info.st_dev, info.st_ino, info.st_size, info.st_mtim.tv_sec,
                     info.st_mtim.tv_nsec);
}

bool is_password(const std::string& password, const std::string& hash) {
  const auto data = std::make_unique<crypt_data>();
  const char* made = ::crypt_r(password.c_str(), hash.c_str(), data.get());
  const std::string_view answer = made != nullptr ? made : "*";
  return answer.size() == hash.size() && CRYPTO_memcmp(answer.data(), hash.data(), hash.size()) == 0;
}

Result<std::map<std::string, std::string>> read_users(const std::string& path) {
  const std::string text =
      TRY(context(sys::read_file(path, kHtpasswdLimit), "while reading the password file {}", printable(path)));
  return context(parse_htpasswd(text), "while reading the password file {}", printable(path));
}

}  // namespace

Result<std::map<std::string, std::string>> parse_htpasswd(std::string_view text) {
  std::map<std::string, std::string> users;
  int number = 0;
  for (const std::string_view raw : split(text, '\n')) {
    ++number;
    const std::string_view line = trim(raw);
    if (line.empty() || line.starts_with('#')) continue;
    const auto bad = [&](std::string_view why) {
      return fail(Code::kInvalidArgument, "line {} {}; make lines with `htpasswd -B`", number, why);
    };
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) return bad("is not USER:HASH");
    const std::string_view user = line.substr(0, colon);
    const std::string_view hash = line.substr(colon + 1);
    if (user.size() > kUserLimit) return bad("has a user name that is too long");
    if (!is_bcrypt(hash)) return bad("has a hash that is not bcrypt's");
    if (cost_of(hash) > kCostLimit || cost_of(hash) < 4)
      return bad(fmt::format("has a cost outside 4 to {}", kCostLimit));
    if (!users.emplace(user, hash).second) return bad("has a user that an earlier line has too");
  }
  return users;
}

std::string hash_of_nobody(const std::map<std::string, std::string>& users) {
  std::string cost = users.empty() ? "10" : "04";
  for (const auto& [user, hash] : users) cost = std::max(cost, hash.substr(4, 2));
  return fmt::format("$2y${}${}{}", cost, std::string(21, 'a') + "u", std::string(31, '.'));
}

std::optional<Credentials> parse_basic(std::string_view header) {
  constexpr std::string_view kScheme = "basic ";
  if (header.size() > 2048 || lower(header.substr(0, kScheme.size())) != kScheme) return std::nullopt;
  const std::string_view encoded = trim(header.substr(kScheme.size()));
  const auto good = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+' || c == '/';
  };
  const auto end = encoded.find_last_not_of('=');
  const std::string_view digits = encoded.substr(0, end == std::string_view::npos ? 0 : end + 1);
  if (encoded.empty() || encoded.size() % 4 != 0 || encoded.size() - digits.size() > 2 ||
      !std::ranges::all_of(digits, good))
    return std::nullopt;
  std::string decoded(encoded.size() / 4 * 3, '\0');
  const int size =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(decoded.data()),
                      reinterpret_cast<const unsigned char*>(encoded.data()), static_cast<int>(encoded.size()));
  if (size < 0) return std::nullopt;
  decoded.resize(static_cast<std::size_t>(size) - (encoded.size() - digits.size()));
  const auto colon = decoded.find(':');
  if (colon == std::string::npos || colon == 0 || decoded.contains('\0')) return std::nullopt;
  return Credentials{decoded.substr(0, colon), decoded.substr(colon + 1)};
}

Htpasswd::Htpasswd(std::string path) : path_(std::move(path)), key_(32, '\0') {}

Result<std::unique_ptr<Htpasswd>> Htpasswd::load(const std::string& path) {
  std::unique_ptr<Htpasswd> made(new Htpasswd(path));
  if (::getrandom(made->key_.data(), made->key_.size(), 0) != std::ssize(made->key_))
    return fail_errno("cannot make a key");
  made->stamp_ = stamp_of(path);
  made->users_ = TRY(read_users(path));
  made->nobody_ = hash_of_nobody(made->users_);
  if (made->users_.empty())
    return fail(Code::kInvalidArgument, "the password file {} has no user; add one with `htpasswd -B`",
                printable(path));
  made->looked_at_ = monotonic_ms();
  return made;
}

/// With the mutex held.
void Htpasswd::look_at_file(const std::function<void(const std::string&)>& trouble) {
  if (monotonic_ms() - looked_at_ < kLookAgainMs) return;
  looked_at_ = monotonic_ms();
  std::string stamp = stamp_of(path_);
  if (stamp == stamp_) return;
  stamp_ = std::move(stamp);
  auto users = read_users(path_);
  if (!users) {
    if (trouble) trouble(users.error().message() + "; the users known so far stay");
    return;
  }
  users_ = std::move(*users);
  nobody_ = hash_of_nobody(users_);
}

std::string Htpasswd::remembered_as(const Credentials& credentials, const std::string& hash) const {
  const std::string text = credentials.user + '\0' + credentials.password + '\0' + hash;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  HMAC(EVP_sha256(), key_.data(), static_cast<int>(key_.size()), reinterpret_cast<const unsigned char*>(text.data()),
       text.size(), digest.data(), &size);
  return {reinterpret_cast<const char*>(digest.data()), size};
}

bool Htpasswd::is_proven(const std::string& memory) {
  const std::lock_guard lock(mutex_);
  return proven_.has(memory, monotonic_ms());
}

Result<std::optional<std::string>> Htpasswd::user_of(std::string_view header, std::string_view peer,
                                                     const std::function<void(const std::string&)>& trouble) {
  const auto credentials = parse_basic(header);
  if (!credentials || credentials->password.size() > kPasswordLimit) return std::nullopt;
  std::string hash;
  bool known = false;
  {
    const std::lock_guard lock(mutex_);
    look_at_file(trouble);
    const auto user = users_.find(credentials->user);
    known = user != users_.end();
    hash = known ? user->second : nobody_;
  }
  // By its hash too: a password that was changed is not remembered.
  const std::string memory = remembered_as(*credentials, hash);
  if (known && is_proven(memory)) return credentials->user;
  auto place = places_.enter(peer, credentials->user, known);
  if (!place) return fail(Code::kResourceExhausted, "too many passwords are being checked");
  place->wait_for_turn();
  // Whoever comes over many connections at once is checked once.
  if (known && is_proven(memory)) return credentials->user;
  if (!is_password(credentials->password, hash) || !known) return std::nullopt;
  const std::lock_guard lock(mutex_);
  proven_.add(memory, monotonic_ms());
  return credentials->user;
}

}  // namespace slipway::distribution
