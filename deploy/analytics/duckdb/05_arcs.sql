-- The course of each emotion through each story, at 100 points of equal width, smoothed.
CREATE OR REPLACE VIEW stories_arcs AS
SELECT
  document,
  model,
  emotion,
  point,
  mean_position AS position,
  paragraphs,
  total / paragraphs AS probability,
  SUM(total) OVER (PARTITION BY document, model, emotion ORDER BY point RANGE BETWEEN 4 PRECEDING AND 4 FOLLOWING) / SUM(paragraphs) OVER (PARTITION BY document, model, emotion ORDER BY point RANGE BETWEEN 4 PRECEDING AND 4 FOLLOWING) AS smoothed
FROM (
  SELECT
    document,
    model,
    emotion,
    point,
    AVG(CAST(position AS DOUBLE)) AS mean_position,
    COUNT(*) AS paragraphs,
    SUM(probability) AS total
  FROM (
    SELECT
      document,
      model,
      emotion,
      position,
      probability,
      CAST(FLOOR(
        CAST(position - MIN(position) OVER (PARTITION BY document, model, emotion) AS DOUBLE) * 100 / (
          MAX(position) OVER (PARTITION BY document, model, emotion) - MIN(position) OVER (PARTITION BY document, model, emotion) + 1
        )
      ) AS INT) AS point
    FROM stories_emotions_long AS emotions_long
    WHERE
      NOT document IS NULL AND NOT position IS NULL
  ) AS located
  GROUP BY
    document,
    model,
    emotion,
    point
) AS points
