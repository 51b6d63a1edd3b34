// Acts as they come. The server sends finished rows, escaped where they are made; nothing is built from text here.
(() => {
  const list = document.querySelector("[data-live]");
  if (!list || !window.EventSource) return;
  const said = document.querySelector("[data-said]");
  const rows_max = 200;
  const say = (name, more) => { said.textContent = list.dataset[name] + (more || ""); };
  const row = (html) => {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    return holder.content.firstElementChild;
  };
  const put = (event) => {
    const act = JSON.parse(event.data);
    const fresh = row(act.html);
    const there = document.getElementById("r" + act.record);
    if (there) there.replaceWith(fresh);
    else if (event.type === "act") list.prepend(fresh);
    while (list.children.length > rows_max) list.lastElementChild.remove();
    document.querySelectorAll("[data-waiting]").forEach((e) => { e.hidden = list.children.length > 0; });
    say("on", new Date().toLocaleTimeString());
  };
  const source = new EventSource(list.dataset.live);
  source.addEventListener("open", () => say("on", new Date().toLocaleTimeString()));
  source.addEventListener("act", put);
  source.addEventListener("ended", put);
  source.addEventListener("over", () => { source.close(); say("over"); });
  source.addEventListener("error", () => say(source.readyState === EventSource.CLOSED ? "over" : "off"));
})();
