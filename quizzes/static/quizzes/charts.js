"use strict";
// The charts of a quiz's performance, in the colours of the theme that is on.

document.addEventListener("alpine:init", () => {
  const PIXELS_PER_QUESTION = 34;
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // Charts stay outside of Alpine's reach: it would wrap them, and they would redraw for ever.
  const charts = {};

  Alpine.data("quizCharts", () => ({
    language: "all",
    chartHeight: "",

    init() {
      this.figures = JSON.parse(document.getElementById("quiz-charts").textContent);
      this.chartHeight = `${40 + PIXELS_PER_QUESTION * this.figures.labels.length}px`;
      this.$nextTick(() => {
        this.draw();
        new MutationObserver(() => this.draw()).observe(document.documentElement, {
          attributes: true,
          attributeFilter: ["class"],
        });
      });
    },

    show(language) {
      this.language = language;
      charts.shares.data.datasets[0].data = this.figures.shares[language];
      charts.shares.update();
    },

    draw() {
      for (const chart of Object.values(charts)) chart.destroy();
      const { labels, shares, scores, participants } = this.figures;
      charts.shares = chart("quiz-shares", labels, shares[this.language], {
        barThickness: 18,
        indexAxis: "y",
        scales: {
          x: { min: 0, max: 100, ticks: { callback: (value) => `${value} %` } },
          y: { ticks: { autoSkip: false }, grid: { display: false } },
        },
        plugins: { tooltip: { callbacks: { label: (item) => `${item.parsed.x} % right` } } },
      });
      charts.scores = chart("quiz-scores", scores, participants, {
        barThickness: 36,
        scales: {
          x: { grid: { display: false } },
          y: { beginAtZero: true, ticks: { precision: 0, maxTicksLimit: 5 } },
        },
        plugins: {
          tooltip: {
            callbacks: {
              title: ([item]) => `${item.label} right`,
              label: (item) => `${item.parsed.y} participants`,
            },
          },
        },
      });
    },
  }));

  function chart(id, labels, data, { barThickness, scales, plugins, ...options }) {
    const isDark = document.documentElement.classList.contains("dark");
    const text = color(isDark ? "--color-base-400" : "--color-base-500");
    const lines = color(isDark ? "--color-base-800" : "--color-base-200");
    for (const axis of Object.values(scales)) {
      axis.ticks = { color: text, ...axis.ticks };
      axis.grid = { color: lines, ...axis.grid };
      axis.border = { display: false };
    }
    Chart.defaults.font.family = "Inter";
    return new Chart(document.getElementById(id), {
      type: "bar",
      data: {
        labels,
        datasets: [
          { data, backgroundColor: color("--color-primary-500"), borderRadius: 4, maxBarThickness: barThickness },
        ],
      },
      options: {
        animation: false,
        maintainAspectRatio: false,
        scales,
        plugins: { legend: { display: false }, ...plugins },
        ...options,
      },
    });
  }
});
