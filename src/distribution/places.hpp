// Places: who may wait for a password to be checked. A check takes long on purpose, so few run at a time, in the order
// they came, and few may wait: guessing must not take every thread from those who are known, nor one guesser the turn
// of everybody else.
//
//   Places places({});
//   auto place = places.enter(request.peer(), "alice", true);   // nothing: refuse, there is no room
//   place->wait_for_turn();
//   … check …                                                   // the place's end lets the next one go
//
// Most places are open to everybody, some of them to one address (of IPv6: one /64). The others are kept for names that
// there are, some of them for one name. So who fills all open places, from several addresses, can tell by the refusals
// whether a name is there; while there is room nobody can.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace slipway::distribution {

class Places {
 public:
  /// A place counts until it is left: while it waits, and while its turn lasts.
  struct Limits {
    int checks = 2;  ///< turns at the same time
    int open = 24, open_of_one_address = 12;
    int kept = 8, kept_of_one_name = 4;
  };
  explicit Places(const Limits& limits) : limits_(limits) {}
  Places(const Places&) = delete;
  Places& operator=(const Places&) = delete;

  /// Movable; the object that gave it outlives it.
  class Place {
   public:
    Place(Place&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)),
          ticket_(other.ticket_),
          counted_(other.counted_),
          kept_(other.kept_),
          has_turn_(other.has_turn_) {}
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (owner_ != nullptr) owner_->leave(*this);
    }
    void wait_for_turn();

   private:
    friend class Places;
    using Counted = std::map<std::string, int>::iterator;
    Place(Places& owner, std::uint64_t ticket, Counted counted, bool kept)
        : owner_(&owner), ticket_(ticket), counted_(counted), kept_(kept) {}
    Places* owner_;
    std::uint64_t ticket_;
    Counted counted_;  ///< of its address or its name
    bool kept_;
    bool has_turn_ = false;
  };

  /// `known`: whether there is such a name. Nothing when there is no place.
  [[nodiscard]] std::optional<Place> enter(std::string_view peer, std::string_view name, bool known);

 private:
  /// Places of one kind, by whose they are.
  struct Kind {
    int taken = 0;
    std::map<std::string, int> by_owner = {};  ///< never of none: as many as are taken at most
  };
  static std::optional<Place::Counted> take(Kind& kind, const std::string& of, int most, int most_of_one);
  void leave(const Place& place);

  const Limits limits_;
  std::mutex mutex_;
  std::condition_variable moved_;
  Kind open_, kept_;
  std::deque<std::uint64_t> waiting_;  ///< tickets, in order
  std::uint64_t last_ticket_ = 0;
  int checking_ = 0;
};

/// What counts as one address: "203.0.113.7", also when it is written as an IPv6 one; "2001:db8:0:1::/64".
[[nodiscard]] std::string one_address(std::string_view peer);

}  // namespace slipway::distribution
