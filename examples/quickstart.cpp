#include <mq/mq.hpp>

#include <cstdio>

// Quantizes the checkpoint argv[1] to int8, one scale per output channel, and writes it to argv[2].
int main(int argc, char** argv) try {
  if (argc != 3) return 2;
  const auto checkpoint = mq::open_checkpoint(argv[1]);
  mq::Recipe recipe;
  recipe.scheme = mq::parse_spec("int8");
  const mq::Plan plan = mq::make_plan(mq::describe(*checkpoint), recipe);
  const auto writer = mq::create_checkpoint(argv[2], recipe.format);
  const auto executor = mq::make_thread_executor(mq::usable_processors());
  const mq::Report report = mq::convert(*checkpoint, plan, *writer, *executor);
  std::printf("%lld bytes, SQNR %.1f dB\n", static_cast<long long>(report.output_bytes), report.total.sqnr_db());
} catch (const mq::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return mq::exit_code(error.code());
}
