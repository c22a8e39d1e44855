#include "cli/progress_tty.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>

#include "base/text.hpp"

namespace slipway::cli {
namespace {

constexpr std::size_t kLogLines = 6;
constexpr auto kRedraw = std::chrono::milliseconds(100);
constexpr std::string_view kBlue = "\x1b[34m", kRed = "\x1b[31m", kYellow = "\x1b[33m", kFaint = "\x1b[2m";
constexpr std::string_view kReset = "\x1b[0m";

std::string seconds(std::int64_t milliseconds) {
  return fmt::format("{:.1f}s", static_cast<double>(milliseconds) / 1000.0);
}

/// Digests leave room for the amounts: docker's twelve digits of them.
std::string short_name(std::string_view object) {
  constexpr std::string_view kPrefix = "sha256:";
  return printable(object.starts_with(kPrefix) ? object.substr(0, kPrefix.size() + 12) : object);
}

std::string_view without_time(std::string_view log_line) { return log_line.substr(log_line.find(' ') + 1); }

}  // namespace

void TtyScreen::on(const progress::Event& event, std::int64_t now) {
  if (const auto* started = std::get_if<progress::Started>(&event)) {
    const auto [at, fresh] = steps_.try_emplace(started->id);
    if (!fresh) return;
    order_.push_back(started->id);
    at->second.name = printable(started->name);
    at->second.started = now;
    return;
  }
  if (const auto* warning = std::get_if<progress::Warning>(&event)) {
    warnings_.push_back(printable_text(warning->text));
    return;
  }
  if (std::holds_alternative<progress::Reason>(event)) return;  // `slipway why` shows them
  const auto id = std::visit(
      [](const auto& each) -> progress::VertexId {
        if constexpr (requires { each.id; }) return each.id;
        return 0;
      },
      event);
  const auto found = steps_.find(id);
  if (found == steps_.end() || found->second.end != Step::End::kRunning) return;
  Step& step = found->second;
  if (const auto* log = std::get_if<progress::Log>(&event)) {
    (void)step.log.add(log->stream, log->bytes, now - step.started);
  } else if (const auto* transfer = std::get_if<progress::Transfer>(&event)) {
    auto at =
        std::find_if(step.moved.begin(), step.moved.end(), [&](const auto& m) { return m.first == transfer->object; });
    if (at == step.moved.end()) at = step.moved.insert(at, {transfer->object, Moved{.started = now}});
    at->second.last = *transfer;
    if (transfer->total >= 0 && transfer->done >= transfer->total && at->second.ended < 0) at->second.ended = now;
  } else if (std::holds_alternative<progress::Cached>(event)) {
    step.end = Step::End::kCached;
    step.ended = now;
  } else if (const auto* finished = std::get_if<progress::Finished>(&event)) {
    (void)step.log.flush(now - step.started);
    step.ended = now;
    step.end = finished->error.empty()            ? Step::End::kDone
               : is_cancellation(finished->error) ? Step::End::kCancelled
                                                  : Step::End::kFailed;
  }
}

std::string TtyScreen::line(std::string_view left, std::string_view right, std::size_t columns,
                            std::string_view colour) const {
  const std::size_t room = columns > right.size() + 1 ? columns - right.size() - 1 : 0;
  std::string out = cut_to_columns(left, right.empty() ? columns : room);
  if (!right.empty()) {
    const std::size_t width = columns_of(out);
    out.append(columns > width + right.size() ? columns - width - right.size() : 1, ' ');
    out += right;
  }
  return colours_ && !colour.empty() ? fmt::format("{}{}{}", colour, out, kReset) : out;
}

TtyScreen::Block TtyScreen::block_of(const Step& step, std::size_t columns, std::int64_t now, bool with_log) const {
  Block block;
  block.running = step.end == Step::End::kRunning;
  std::string_view mark, colour = block.running ? "" : kBlue;
  if (step.end == Step::End::kCached) mark = "CACHED ";
  if (step.end == Step::End::kFailed) mark = "ERROR ", colour = kRed;
  if (step.end == Step::End::kCancelled) mark = "CANCELED ", colour = kYellow;
  const std::int64_t took = step.end == Step::End::kCached ? 0 : (block.running ? now : step.ended) - step.started;
  block.lines.push_back(line(fmt::format(" => {}{}", mark, step.name), seconds(took), columns, colour));
  if (!block.running) return block;
  for (const auto& [object, moved] : step.moved) {
    const std::string amount = transfer_amount(moved.last);
    const std::int64_t end = moved.ended >= 0 ? moved.ended : now;
    block.lines.push_back(line(fmt::format(" => => {}{}{}", short_name(object), amount.empty() ? "" : " ", amount),
                               seconds(end - moved.started), columns, moved.ended >= 0 ? kBlue : ""));
  }
  const auto& tail = step.log.tail();
  const std::size_t shown = with_log ? std::min(tail.size(), kLogLines) : 0;
  for (std::size_t i = tail.size() - shown; i < tail.size(); ++i)
    block.lines.push_back(line(fmt::format(" => => # {}", without_time(tail[i])), "", columns, kFaint));
  return block;
}

std::vector<std::string> TtyScreen::frame(TerminalSize size, std::int64_t now, Which which) const {
  const auto columns = static_cast<std::size_t>(std::max(size.columns, 20)) - 1;  // the last column would wrap
  std::size_t ended = 0;
  std::vector<Block> blocks;
  std::size_t total = 0;
  for (const auto id : order_) {
    const Step& step = steps_.at(id);
    if (step.end != Step::End::kRunning) ++ended;
    blocks.push_back(block_of(step, columns, now, which == Which::kLive));
    total += blocks.back().lines.size();
  }
  const bool all = ended == order_.size() && which == Which::kLast && ended > 0;
  std::vector<std::string> lines = {line(
      fmt::format("[+] {} {} ({}/{}){}", phase_, seconds(now - start_), ended, order_.size(), all ? " FINISHED" : ""),
      "", columns, all ? kBlue : "")};
  const auto room = static_cast<std::size_t>(std::max(size.rows - 2, 1));
  // the oldest ended steps make place first; what still does not fit loses its beginning
  for (auto& block : blocks) {
    if (which == Which::kLast || total <= room) break;
    if (block.running) continue;
    total -= block.lines.size();
    block.lines.clear();
  }
  std::size_t skip = which == Which::kLive && total > room ? total - room : 0;
  for (const auto& block : blocks) {
    for (const auto& each : block.lines) {
      if (skip > 0) {
        --skip;
      } else {
        lines.push_back(each);
      }
    }
  }
  return lines;
}

std::string TtyScreen::epilogue() const {
  std::string out;
  for (const auto& warning : warnings_) out += fmt::format("WARNING: {}\n", warning);
  for (const auto id : order_)
    if (const Step& step = steps_.at(id); step.end == Step::End::kFailed)
      out += failure_block(step.name, step.log.tail());
  return out;
}

TtyProgress::TtyProgress(ProgressSetup setup)
    : setup_(std::move(setup)),
      screen_(std::string(setup_.phase), setup_.colours, setup_.clock()),
      thread_([this] { redraw_until_stopped(); }) {}

TtyProgress::~TtyProgress() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  restore_terminal();  // does nothing after finish()
}

void TtyProgress::on(const progress::Event& event) {
  const std::lock_guard lock(mutex_);
  screen_.on(event, setup_.clock());
}

void TtyProgress::redraw_until_stopped() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, kRedraw, [&] { return stopped_; })) draw(TtyScreen::Which::kLive);
}

void TtyProgress::draw(TtyScreen::Which which) {
  const auto lines = screen_.frame(setup_.size(), setup_.clock(), which);
  std::string out;
  if (drawn_ > 0) {
    out += fmt::format("\x1b[{}A\r", drawn_);
  } else {
    out += kHideCursor;
    note_cursor_hidden(true);
  }
  for (const auto& each : lines) out += each + "\x1b[K\n";
  out += "\x1b[J";
  drawn_ = lines.size();
  setup_.write(out);
}

void TtyProgress::finish() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  const std::lock_guard lock(mutex_);
  draw(TtyScreen::Which::kLast);
  setup_.write(kShowCursor);
  note_cursor_hidden(false);
  if (const std::string rest = screen_.epilogue(); !rest.empty()) setup_.write(rest);
}

}  // namespace slipway::cli
