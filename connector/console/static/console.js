// Small things that a page works without: local times, live fragments, copying.
const localise = () => {
  for (const time of document.querySelectorAll("time")) {
    const timeStyle = time.closest(".timeline") ? "medium" : "short";
    const shown = time.dateTime.length > 10 ? { dateStyle: "medium", timeStyle } : { dateStyle: "medium", timeZone: "UTC" };
    time.textContent = new Date(time.dateTime).toLocaleString([], shown);
  }
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard;
};
localise();
document.addEventListener("htmx:after:swap", localise);
for (const live of document.querySelectorAll("[data-events]")) {
  const source = new EventSource(live.dataset.events);
  const again = () => htmx.trigger(document.getElementById(live.id), "changed");
  source.addEventListener("changed", again);
  source.addEventListener("ended", () => source.close());
  addEventListener("pagehide", () => source.close());
}
addEventListener("pageshow", ({ persisted }) => persisted && location.reload());  // never what was so before
document.addEventListener("click", ({ target }) => {
  if (!target.dataset.copy) return;
  navigator.clipboard.writeText(document.getElementById(target.dataset.copy).textContent);
  target.textContent = "Copied";
});
