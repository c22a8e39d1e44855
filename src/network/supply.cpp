#include "network/supply.hpp"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "base/text.hpp"

namespace slipway::network {
namespace {

constexpr std::size_t kMakers = 2;  // threads: one namespace takes some 45 ms, most of it waiting
constexpr int kMaxFailures = 2;

}  // namespace

struct Supply::State {
  State(Connect c, HelperDescriptors d, HostAccess a) : connect(std::move(c)), descriptors(d), access(a) {}

  Connect connect;
  HelperDescriptors descriptors;
  HostAccess access;
  mutable std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::jthread> makers;
  std::deque<Uplink> ready;
  std::optional<Machine> machine;
  std::vector<HelperCommand> commands;
  std::string note;  // set: there will be no uplink
  std::size_t in_making = 0;
  std::size_t waiting = 0;  // steps
  bool ahead = false;       // the first is made before a step asks
  int failures = 0;         // in a row
  bool stopping = false;

  void make_all() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [&] {
        return stopping || !note.empty() || ready.size() + in_making < std::max<std::size_t>(waiting, ahead ? 1 : 0);
      });
      if (stopping || !note.empty()) return;
      ++in_making;
      HelperCommand command = commands.front();
      lock.unlock();
      command.barred = barred_prefixes();  // each time: addresses may have come
      Result<Uplink> made = connect(command);
      lock.lock();
      --in_making;
      if (made) {
        failures = 0;
        made->barred = std::move(command.barred);
        made->host_address = command.host_address;
        ready.push_back(*std::move(made));
      } else if (commands.front().argv == command.argv && ++failures >= kMaxFailures) {
        failures = 0;
        if (commands.size() > 1)
          commands.erase(commands.begin());  // the next helper
        else
          note = "no network in steps: " + made.error().message();
      }
      changed.notify_all();
    }
  }

  /// With the lock held.
  void start() {
    if (!makers.empty() || !note.empty()) return;
    machine = look_at_machine();
    std::string reason;
    commands = helper_commands(*machine, descriptors, reason, access);
    if (commands.empty()) {
      note = "no network in steps: " + reason;
      return;
    }
    for (std::size_t i = 0; i < kMakers; ++i) makers.emplace_back([this] { make_all(); });
  }
};

Supply::Supply(Connect connect, const HelperDescriptors& descriptors, HostAccess access)
    : state_(std::make_unique<State>(std::move(connect), descriptors, access)) {}

Supply::~Supply() {
  {
    const std::scoped_lock lock(state_->mutex);
    state_->stopping = true;
  }
  state_->changed.notify_all();
  state_->makers.clear();  // joins
}

void Supply::warm() {
  const std::scoped_lock lock(state_->mutex);
  if (!state_->makers.empty()) return;
  state_->start();
  state_->ahead = true;
  state_->changed.notify_all();
}

Result<std::optional<Uplink>> Supply::take(const Cancel& cancel) {
  std::unique_lock lock(state_->mutex);
  state_->start();
  ++state_->waiting;
  state_->changed.notify_all();
  // Addresses may have come since a namespace was made: it would reach them.
  const std::vector<Prefix> barred = state_->ready.empty() ? std::vector<Prefix>() : barred_prefixes();
  std::erase_if(state_->ready, [&](const Uplink& uplink) { return !uplink.alive() || uplink.barred != barred; });
  state_->changed.notify_all();
  Status going = cancel.check();
  while (going && state_->ready.empty() && state_->note.empty()) {
    // Woken by the makers; the time is only how often a cancellation is looked for.
    state_->changed.wait_for(lock, std::chrono::milliseconds(50));
    going = cancel.check();
  }
  --state_->waiting;
  state_->ahead = false;
  TRY(std::move(going));
  if (state_->ready.empty()) return std::nullopt;
  Uplink uplink = std::move(state_->ready.front());
  state_->ready.pop_front();
  return uplink;
}

void Supply::give_back(Uplink uplink) {
  {
    const std::scoped_lock lock(state_->mutex);
    state_->ready.push_back(std::move(uplink));
  }
  state_->changed.notify_all();
}

std::string Supply::note() const {
  const std::scoped_lock lock(state_->mutex);
  return state_->note;
}

std::string Supply::resolv_conf() const {
  const std::scoped_lock lock(state_->mutex);
  return state_->machine ? state_->machine->resolver.text() : look_at_machine().resolver.text();
}

}  // namespace slipway::network
