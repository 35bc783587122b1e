// Send the requests of the page: only reading ones have a form, and the token stays in this tab.
const token = document.getElementById("token");
token.value = sessionStorage.getItem("token") || "";
token.addEventListener("change", () => sessionStorage.setItem("token", token.value));
for (const part of document.querySelectorAll(".try")) part.hidden = false;
for (const form of document.querySelectorAll("form.try")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const shown = form.querySelector("pre");
    const headers = { Authorization: `Bearer ${token.value}`, "Content-Type": "application/json" };
    const body = form.querySelector("textarea").value;
    try {
      const answer = await fetch(form.dataset.path, { method: "POST", headers, body });
      const text = await answer.text();
      let said = text;
      try { said = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON */ }
      shown.firstChild.textContent = `${answer.status}\n${said}`;
    } catch (error) {
      shown.firstChild.textContent = String(error);
    }
    shown.hidden = false;
  });
}
