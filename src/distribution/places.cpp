#include "distribution/places.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

namespace slipway::distribution {

std::string one_address(std::string_view peer) {
  in6_addr address{};
  if (::inet_pton(AF_INET6, std::string(peer).c_str(), &address) != 1) return std::string(peer);
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (IN6_IS_ADDR_V4MAPPED(&address)) {
    (void)::inet_ntop(AF_INET, &address.s6_addr[12], text.data(), text.size());
    return text.data();
  }
  std::fill(std::begin(address.s6_addr) + 8, std::end(address.s6_addr), 0);
  (void)::inet_ntop(AF_INET6, &address, text.data(), text.size());
  return std::string(text.data()) + "/64";
}

/// Nothing when all are taken, or as many as one may have.
std::optional<Places::Place::Counted> Places::take(Kind& kind, const std::string& of, int most, int most_of_one) {
  if (kind.taken >= most) return std::nullopt;
  const auto counted = kind.by_owner.try_emplace(of, 0).first;
  if (counted->second >= most_of_one) return std::nullopt;
  ++counted->second;
  ++kind.taken;
  return counted;
}

std::optional<Places::Place> Places::enter(std::string_view peer, std::string_view name, bool known) {
  const std::lock_guard lock(mutex_);
  auto counted = take(open_, one_address(peer), limits_.open, limits_.open_of_one_address);
  const bool kept = !counted && known;
  if (kept) counted = take(kept_, std::string(name), limits_.kept, limits_.kept_of_one_name);
  if (!counted) return std::nullopt;
  waiting_.push_back(++last_ticket_);
  return Place(*this, last_ticket_, *counted, kept);
}

void Places::Place::wait_for_turn() {
  std::unique_lock lock(owner_->mutex_);
  owner_->moved_.wait(
      lock, [&] { return owner_->checking_ < owner_->limits_.checks && owner_->waiting_.front() == ticket_; });
  owner_->waiting_.pop_front();
  ++owner_->checking_;
  has_turn_ = true;
  owner_->moved_.notify_all();
}

void Places::leave(const Place& place) {
  const std::lock_guard lock(mutex_);
  if (place.has_turn_)
    --checking_;
  else
    std::erase(waiting_, place.ticket_);
  Kind& kind = place.kept_ ? kept_ : open_;
  --kind.taken;
  if (--place.counted_->second == 0) kind.by_owner.erase(place.counted_);
  moved_.notify_all();
}

}  // namespace slipway::distribution
