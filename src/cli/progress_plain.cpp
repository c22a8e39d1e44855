#include "cli/progress_plain.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "base/text.hpp"

namespace slipway::cli {
namespace {

// A step that is silent for others to read gives the floor away after this long, or when one of them has much to say.
constexpr std::int64_t kFloorMilliseconds = 5000;
constexpr std::size_t kWaitingLimit = 64 * 1024;
constexpr std::int64_t kTransferMilliseconds = 5000;

std::string seconds(std::int64_t milliseconds) {
  return fmt::format("{:.1f}s", static_cast<double>(milliseconds) / 1000.0);
}

}  // namespace

void PlainProgress::on(const progress::Event& event) {
  const std::lock_guard lock(mutex_);
  std::visit([&](const auto& each) { handle(each); }, event);
}

PlainProgress::Step* PlainProgress::running(progress::VertexId id) {
  const auto found = steps_.find(id);
  return found == steps_.end() || found->second.ended ? nullptr : &found->second;
}

void PlainProgress::handle(const progress::Started& event) {
  const auto [at, fresh] = steps_.try_emplace(event.id);
  if (!fresh) return;
  Step& step = at->second;
  step.name = printable(event.name);
  step.started = setup_.clock();
  step.log = StepLog(setup_.colours ? Colours::kKeep : Colours::kStrip);
  show_when_due(event.id, step);
}

void PlainProgress::handle(const progress::Log& event) {
  Step* step = running(event.id);
  if (step == nullptr) return;
  for (auto& line : step->log.add(event.stream, event.bytes, setup_.clock() - step->started))
    queue(*step, std::move(line));
  show_when_due(event.id, *step);
}

void PlainProgress::handle(const progress::Transfer& event) {
  Step* step = running(event.id);
  if (step == nullptr) return;
  const std::int64_t now = setup_.clock();
  const auto [at, fresh] = step->moved.try_emplace(event.object);
  Moved& moved = at->second;
  if (fresh) moved.started = now;
  if (moved.done) return;
  moved.last = event;
  const bool done = event.total >= 0 && event.done >= event.total;
  const std::int64_t since = moved.shown >= 0 ? moved.shown : moved.started;
  if (!done && now - since < kTransferMilliseconds) return;
  note_transfer(*step, moved, done);
  show_when_due(event.id, *step);
}

void PlainProgress::note_transfer(Step& step, Moved& moved, bool done) {
  const std::int64_t now = setup_.clock();
  std::string line = printable(moved.last.object);
  if (const std::string amount = transfer_amount(moved.last); !amount.empty()) line += " " + amount;
  if (now - moved.started > 10) line += " " + seconds(now - moved.started);
  if (done) line += " done";
  moved.shown = now;
  moved.done = done;
  queue(step, std::move(line));
}

void PlainProgress::handle(const progress::Cached& event) {
  if (Step* step = running(event.id)) end(event.id, *step, "CACHED");
}

void PlainProgress::handle(const progress::Finished& event) {
  Step* step = running(event.id);
  if (step == nullptr) return;
  const std::int64_t took = setup_.clock() - step->started;
  for (auto& line : step->log.flush(took)) queue(*step, std::move(line));
  if (event.error.empty()) {
    for (auto& [object, moved] : step->moved)
      if (!moved.done) note_transfer(*step, moved, true);
    end(event.id, *step, "DONE " + seconds(took));
  } else if (is_cancellation(event.error)) {
    end(event.id, *step, "CANCELED");
  } else {
    step->error = printable_text(event.error);
    end(event.id, *step, "ERROR: " + step->error);
  }
}

void PlainProgress::handle(const progress::Warning& event) {
  setup_.write(fmt::format("WARNING: {}\n", printable_text(event.text)));
}

void PlainProgress::queue(Step& step, std::string line) {
  step.waiting_bytes += line.size();
  step.waiting.push_back(std::move(line));
}

void PlainProgress::end(progress::VertexId id, Step& step, std::string ending) {
  step.ended = true;
  step.ending = std::move(ending);
  show(id, step);
  give_floor_on();
}

void PlainProgress::show_when_due(progress::VertexId id, Step& step) {
  const bool long_enough = setup_.clock() - floor_since_ >= kFloorMilliseconds && !step.waiting.empty();
  if (!taken_ || floor_ == id || long_enough || step.waiting_bytes > kWaitingLimit) show(id, step);
}

void PlainProgress::show(progress::VertexId id, Step& step) {
  std::string out;
  if (step.number == 0) step.number = ++last_number_;
  if (!taken_ || floor_ != id) {
    if (taken_) out += fmt::format("#{} ...\n", steps_[floor_].number);
    if (wrote_) out += "\n";
    out += fmt::format("#{} {}\n", step.number, step.name);
    floor_ = id;
    taken_ = true;
    floor_since_ = setup_.clock();
  }
  for (const auto& line : step.waiting) out += fmt::format("#{} {}\n", step.number, line);
  step.waiting.clear();
  step.waiting_bytes = 0;
  if (step.ended) {
    out += fmt::format("#{} {}\n", step.number, step.ending);
    taken_ = false;
  }
  wrote_ = true;
  setup_.write(out);
}

void PlainProgress::give_floor_on() {
  // the step that was shown before goes on by itself with its next line; one that never was shown comes first
  for (auto& [id, step] : steps_) {
    if (step.ended || (step.number != 0 && step.waiting.empty())) continue;
    show(id, step);
    return;
  }
}

void PlainProgress::finish() {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, step] : steps_)
    if (!step.error.empty()) setup_.write(failure_block(step.name, step.log.tail()));
}

}  // namespace slipway::cli
