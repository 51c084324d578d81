#!/usr/bin/env python3
"""make_bakery.py [DB] [--seed N] [--force]: the database of a small bakery, invented, deterministic.

Builds examples/bakery.db: 16 tables with declared foreign keys, fifteen months of purchases and production.
The same seed and the same SQLite version give the same bytes; no clock, no locale, no other files are read."""
import argparse
import datetime
import json
import os
import re
import sqlite3
import struct
import sys
import unicodedata
import uuid
import zlib
from random import Random

FIRST_DAY = datetime.date(2025, 9, 1)
DAYS = 447                       # the last day is 2026-11-21
TABLES = ("suppliers ingredients products recipes purchases inventory_items material_categories material_subcategories "
          "materials material_products material_units material_purchases finished_goods events production_runs "
          "inventory_depletions").split()
PURCHASES, ITEMS, MATERIAL_PURCHASES, RUNS, DEPLETIONS, PRODUCTS = 912, 634, 118, 389, 735, 202

SCHEMA = """
CREATE TABLE suppliers (
  id INTEGER PRIMARY KEY,
  uuid TEXT NOT NULL UNIQUE,
  slug TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  kind TEXT NOT NULL DEFAULT 'wholesale' CHECK (kind IN ('wholesale', 'farm', 'shop', 'online')),
  city TEXT,
  email TEXT,
  phone TEXT,
  lead_days INTEGER CHECK (lead_days IS NULL OR lead_days >= 0),
  notes TEXT,
  is_active INTEGER NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1)),
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
);
CREATE TABLE ingredients (
  id INTEGER PRIMARY KEY,
  uuid TEXT NOT NULL UNIQUE,
  slug TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  category TEXT NOT NULL,
  base_unit TEXT NOT NULL CHECK (base_unit IN ('g', 'ml', 'each')),
  density_g_per_ml REAL CHECK (density_g_per_ml > 0),
  allergens TEXT,
  notes TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
);
CREATE TABLE products (
  id INTEGER PRIMARY KEY,
  uuid TEXT NOT NULL UNIQUE,
  ingredient_id INTEGER NOT NULL REFERENCES ingredients(id) ON DELETE RESTRICT,
  brand TEXT,
  name TEXT NOT NULL,
  package_kind TEXT NOT NULL,
  package_quantity REAL NOT NULL CHECK (package_quantity > 0),
  package_unit TEXT NOT NULL,
  gtin TEXT UNIQUE,
  list_price NUMERIC,
  is_preferred INTEGER NOT NULL DEFAULT 0 CHECK (is_preferred IN (0, 1)),
  notes TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
);
CREATE TABLE recipes (
  id INTEGER PRIMARY KEY,
  uuid TEXT NOT NULL UNIQUE,
  slug TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  category TEXT NOT NULL,
  main_ingredient_id INTEGER NOT NULL REFERENCES ingredients(id) ON DELETE RESTRICT,
  lines TEXT NOT NULL CHECK (json_valid(lines)),
  yield_quantity INTEGER NOT NULL CHECK (yield_quantity > 0),
  yield_unit TEXT NOT NULL,
  oven_celsius INTEGER,
  bake_minutes INTEGER,
  method TEXT,
  is_archived INTEGER NOT NULL DEFAULT 0 CHECK (is_archived IN (0, 1)),
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
);
CREATE TABLE purchases (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE,
  product_id INTEGER NOT NULL REFERENCES products(id) ON DELETE RESTRICT,
  supplier_id INTEGER REFERENCES suppliers(id) ON DELETE SET NULL,
  purchased_on TEXT NOT NULL,
  packages INTEGER NOT NULL CHECK (packages > 0),
  unit_price REAL NOT NULL CHECK (unit_price >= 0),
  notes TEXT,
  created_at TEXT NOT NULL
);
CREATE TABLE inventory_items (
  id INTEGER PRIMARY KEY,
  uuid TEXT NOT NULL UNIQUE,
  product_id INTEGER NOT NULL REFERENCES products(id) ON DELETE RESTRICT,
  purchase_id INTEGER REFERENCES purchases(id) ON DELETE SET NULL,
  quantity REAL NOT NULL CHECK (quantity > 0),
  quantity_left REAL NOT NULL CHECK (quantity_left >= 0 AND quantity_left <= quantity),
  location TEXT,
  expires_on TEXT,
  lot TEXT,
  notes TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
);
CREATE TABLE material_categories (
  id INTEGER PRIMARY KEY,
  slug TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL UNIQUE,
  sort_order INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE material_subcategories (
  id INTEGER PRIMARY KEY,
  category_id INTEGER NOT NULL REFERENCES material_categories(id) ON DELETE CASCADE,
  slug TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  sort_order INTEGER NOT NULL DEFAULT 0,
  UNIQUE (category_id, name)
);
CREATE TABLE materials (
  id INTEGER PRIMARY KEY,
  uuid TEXT NOT NULL UNIQUE,
  subcategory_id INTEGER NOT NULL REFERENCES material_subcategories(id) ON DELETE RESTRICT,
  slug TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  base_unit TEXT NOT NULL CHECK (base_unit IN ('each', 'cm')),
  description TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
);
CREATE TABLE material_products (
  id INTEGER PRIMARY KEY,
  uuid TEXT NOT NULL UNIQUE,
  material_id INTEGER NOT NULL REFERENCES materials(id) ON DELETE CASCADE,
  supplier_id INTEGER REFERENCES suppliers(id) ON DELETE SET NULL,
  slug TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  sku TEXT,
  package_quantity REAL NOT NULL CHECK (package_quantity > 0),
  list_price REAL,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
);
CREATE TABLE material_units (
  id INTEGER PRIMARY KEY,
  material_id INTEGER NOT NULL REFERENCES materials(id) ON DELETE CASCADE,
  slug TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  quantity REAL NOT NULL CHECK (quantity > 0)
);
CREATE TABLE material_purchases (
  id INTEGER PRIMARY KEY,
  uuid TEXT NOT NULL UNIQUE,
  material_product_id INTEGER NOT NULL REFERENCES material_products(id) ON DELETE RESTRICT,
  supplier_id INTEGER REFERENCES suppliers(id) ON DELETE SET NULL,
  purchased_on TEXT NOT NULL,
  packages INTEGER NOT NULL CHECK (packages > 0),
  unit_price REAL NOT NULL CHECK (unit_price >= 0),
  notes TEXT,
  created_at TEXT NOT NULL
);
CREATE TABLE finished_goods (
  id INTEGER PRIMARY KEY,
  uuid TEXT NOT NULL UNIQUE,
  recipe_id INTEGER REFERENCES recipes(id) ON DELETE SET NULL,
  slug TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  price REAL NOT NULL CHECK (price >= 0),
  weight_g REAL,
  label BLOB,
  is_seasonal INTEGER NOT NULL DEFAULT 0 CHECK (is_seasonal IN (0, 1)),
  notes TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
);
CREATE TABLE events (
  id INTEGER PRIMARY KEY,
  uuid TEXT NOT NULL UNIQUE,
  slug TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  event_date TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('market', 'wedding', 'holiday', 'order')),
  guests INTEGER,
  notes TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
);
CREATE TABLE production_runs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE,
  recipe_id INTEGER NOT NULL REFERENCES recipes(id) ON DELETE RESTRICT,
  event_id INTEGER REFERENCES events(id) ON DELETE SET NULL,
  batches REAL NOT NULL CHECK (batches > 0),
  produced INTEGER,
  lost INTEGER NOT NULL DEFAULT 0 CHECK (lost >= 0),
  status TEXT NOT NULL DEFAULT 'planned' CHECK (status IN ('planned', 'done', 'cancelled')),
  started_at TEXT NOT NULL,
  finished_at TEXT,
  notes TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  CHECK (finished_at IS NULL OR finished_at >= started_at)
);
CREATE TABLE inventory_depletions (
  id INTEGER PRIMARY KEY,
  uuid TEXT NOT NULL UNIQUE,
  inventory_item_id INTEGER NOT NULL REFERENCES inventory_items(id) ON DELETE CASCADE,
  quantity REAL NOT NULL CHECK (quantity > 0),
  reason TEXT NOT NULL CHECK (reason IN ('production', 'spoilage', 'stocktake', 'gift')),
  run_uuid TEXT,
  unit_cost REAL,
  notes TEXT,
  depleted_at TEXT NOT NULL
);
CREATE INDEX idx_ingredients_category ON ingredients(category, name);
CREATE INDEX idx_products_ingredient ON products(ingredient_id);
CREATE INDEX idx_purchases_product ON purchases(product_id, purchased_on);
CREATE INDEX idx_inventory_product ON inventory_items(product_id);
CREATE INDEX idx_inventory_expiring ON inventory_items(expires_on) WHERE quantity_left > 0;
CREATE INDEX idx_runs_recipe ON production_runs(recipe_id, started_at);
CREATE INDEX idx_depletions_item ON inventory_depletions(inventory_item_id);
CREATE VIEW stock_by_ingredient AS
  SELECT g.slug AS ingredient, g.category, g.base_unit AS unit, round(sum(i.quantity_left), 3) AS quantity_left,
         min(CASE WHEN i.quantity_left > 0 THEN i.expires_on END) AS next_expiry
  FROM inventory_items i JOIN products p ON p.id = i.product_id JOIN ingredients g ON g.id = p.ingredient_id
  GROUP BY g.id;
CREATE TRIGGER depletion_takes_stock AFTER INSERT ON inventory_depletions BEGIN
  UPDATE inventory_items SET quantity_left = round(quantity_left - NEW.quantity, 3), updated_at = NEW.depleted_at
  WHERE id = NEW.inventory_item_id;
END;
"""

SUPPLIERS = [  # name, kind, city, days to deliver, notes
    ("Lindenau Mill", "wholesale", "Lindenau", 3, "Flour and grain. Delivers on Tuesdays before 7; ring the back bell."),
    ("Three Brooks Dairy", "farm", "Obertal", 1, None),
    ("Hafen Import & Spice", "wholesale", "Hamburg", 5, "Minimum order 150; ask for the harvest date of the vanilla."),
    ("Sunnyside Orchard", "farm", "Altes Land", 2, "Closed from mid-December to February."),
    ("Bäckerbedarf Krüger", "wholesale", "Hannover", 4, None),
    ("Corner Market Hall", "shop", "Lindenau", 0, "For when we run out."),
    ("Cacao Direkt", "online", None, 6, "Chocolate melts on the way in July; order before June."),
    ("Paper & Ribbon Co.", "online", "Leipzig", 7, None),
]

# category | base unit | price per 1000 g or ml, or per piece | allergens | pattern of the name: words
INGREDIENTS = """
Flours|g|1.35|gluten|{} flour: Strong bread; Plain; Cake; Pastry; Self-raising; Wholemeal wheat; Light rye; Dark rye; Wholemeal rye; Light spelt; Wholemeal spelt; Einkorn; Emmer; Khorasan; Malted wheat; Durum; Barley; Oat; High-gluten; Tipo 00
Gluten-free flours|g|4.20||{} flour: Rice; Brown rice; Glutinous rice; Buckwheat; Millet; Quinoa; Chickpea; Maize; Tapioca; Potato; Chestnut; Coconut; Soya
Grains|g|2.60|gluten|{}: Rolled oats; Jumbo oats; Pinhead oats; Wheat bran; Oat bran; Wheat germ; Cracked wheat; Cracked rye; Rye flakes; Barley flakes; Semolina; Bulgur; Fine polenta; Coarse polenta; Pearl barley; Breadcrumbs
Sugars|g|1.90||{} sugar: Caster; Granulated; Icing; Demerara; Light muscovado; Dark muscovado; Pearl; Preserving; Vanilla; Coconut blossom; Maple; Cinnamon; Fondant icing; Invert
Syrups|ml|6.40||{}: Golden syrup; Black treacle; Maple syrup; Acacia honey; Heather honey; Forest honey; Glucose syrup; Agave syrup; Date syrup; Sugar beet syrup; Malt extract; Elderflower syrup; Caramel syrup; Pomegranate molasses
Dairy|ml|2.10|milk|{}: Whole milk; Semi-skimmed milk; Skimmed milk; Buttermilk; Single cream; Whipping cream; Double cream; Soured cream; Crème fraîche; Kefir; Condensed milk
Fresh cheese|g|6.90|milk|{}: Quark; Cream cheese; Mascarpone; Ricotta; Natural yoghurt; Greek yoghurt
Cheese|g|11.50|milk|{}: Mature cheddar; Mild cheddar; Gruyère; Emmental; Parmesan; Pecorino; Feta; Mozzarella; Blue cheese; Goat cheese; Gouda
Milk powders|g|8.20|milk|{} powder: Whole milk; Skimmed milk; Buttermilk; Whey; Custard; Malted milk
Eggs|each|0.34|eggs|{}: Medium egg; Large egg
Egg products|g|7.80|eggs|{}: Liquid egg white; Liquid egg yolk; Whole liquid egg; Dried egg white; Meringue powder
Butter and fats|g|8.40|milk|{}: Unsalted butter; Salted butter; Cultured butter; Croissant butter sheets; Clarified butter; Ghee; Lard; Vegetable shortening; Baking margarine; Coconut oil; Cocoa butter; Vegan block
Oils|ml|7.60||{} oil: Sunflower; Rapeseed; Olive; Extra virgin olive; Walnut; Hazelnut; Sesame; Pumpkin seed
Plant drinks|ml|2.40||{} drink: Oat; Soya; Almond; Rice; Coconut; Hazelnut
Chocolate|g|13.80|milk|{}: Dark chocolate 55%; Dark chocolate 64%; Dark chocolate 70%; Dark chocolate 85%; Milk chocolate 33%; Milk chocolate 41%; White chocolate 28%; Blond chocolate; Gianduja; Chocolate chips, dark; Chocolate chips, milk; Chocolate chips, white; Bake-stable sticks; Chocolate vermicelli; Cocoa nibs; Cocoa mass; Cocoa powder, natural; Cocoa powder, dark; Drinking chocolate
Nuts|g|16.20|nuts|{}: Whole almonds; Blanched almonds; Flaked almonds; Slivered almonds; Ground almonds; Whole hazelnuts; Roasted hazelnuts; Ground hazelnuts; Walnut halves; Walnut pieces; Pecan halves; Pecan pieces; Cashews; Macadamias; Pistachios, shelled; Pistachios, slivered; Pine nuts; Peanuts, roasted; Desiccated coconut; Chestnuts, cooked; Nut brittle; Almond paste; Hazelnut praline; Pistachio paste; Peanut butter; Almond butter; Tahini; Marzipan
Seeds|g|6.10||{} seeds: Sunflower; Pumpkin; Sesame; Black sesame; Poppy; White poppy; Golden linseed; Brown linseed; Chia; Hemp; Nigella; Caraway; Fennel; Anise
Dried fruit|g|9.70|sulphites|{}: Raisins; Golden raisins; Sultanas; Currants; Dried apricots; Dried figs; Dried dates; Medjool dates; Prunes; Dried cranberries; Dried sour cherries; Dried blueberries; Dried apple rings; Dried pears; Dried mango; Dried pineapple; Banana chips; Goji berries; Freeze-dried strawberries; Freeze-dried raspberries
Candied fruit|g|10.90|sulphites|{}: Mixed peel; Candied orange peel; Candied lemon peel; Candied ginger; Glacé cherries; Candied violets; Candied rose petals; Amarena cherries; Stem ginger
Fresh fruit|g|3.80||{}: Bramley apples; Dessert apples; Pears; Plums; Apricots; Peaches; Nectarines; Cherries; Sour cherries; Strawberries; Raspberries; Blackberries; Blueberries; Redcurrants; Blackcurrants; Rhubarb; Quinces; Figs; Bananas; Pineapple; Mango; Passion fruit; Grapes; Cranberries
Citrus|each|0.42||{}: Lemon; Lime; Orange; Blood orange; Grapefruit; Mandarin
Vegetables|g|2.30||{}: Carrots; Courgettes; Beetroot; Pumpkin; Potatoes; Sweet potatoes; Red onions; Brown onions; Leeks; Spinach; Mushrooms; Tomatoes; Sun-dried tomatoes; Black olives; Green olives; Roasted peppers; Garlic; Fried onions; Sauerkraut
Herbs|g|22.00||{}: Rosemary; Thyme; Sage; Basil; Oregano; Chives; Parsley; Dill; Mint; Lavender flowers; Lemon balm
Spices|g|29.00||{}: Ground cinnamon; Cinnamon sticks; Ground ginger; Nutmeg; Mace; Whole cloves; Ground cloves; Allspice; Cardamom pods; Ground cardamom; Star anise; Coriander seed; Cumin; Turmeric; Saffron; Black pepper; Pink pepper; White pepper; Cayenne; Sweet paprika; Smoked paprika; Mixed spice; Gingerbread spice; Bread spice; Pumpkin spice; Vanilla powder; Tonka bean; Za'atar; Mahleb; Mustard powder
Extracts|ml|118.00||{}: Vanilla extract; Almond extract; Lemon extract; Orange extract; Peppermint extract; Coffee extract; Rose water; Orange blossom water; Bitter almond oil; Rum flavour; Vanilla paste; Maple extract
Raising agents|g|7.20||{}: Fresh yeast; Dried active yeast; Instant yeast; Baking powder; Bicarbonate of soda; Cream of tartar; Baker's ammonia; Potash; Rye sourdough starter; Wheat sourdough starter
Salt and acids|g|2.10||{}: Fine sea salt; Coarse sea salt; Smoked salt; Salt flakes; Pretzel salt; Pretzel lye; Citric acid; Ascorbic acid; White vinegar powder
Gelling agents|g|31.00||{}: Gelatine sheets; Gelatine powder; Agar-agar; Pectin; Xanthan gum; Psyllium husk; Guar gum; Cornflour; Arrowroot; Potato starch
Jams and fillings|g|5.90||{}: Raspberry jam; Strawberry jam; Apricot jam; Apricot glaze; Plum butter; Blackcurrant jam; Orange marmalade; Lemon curd; Redcurrant jelly; Apple purée; Poppy seed filling; Nougat cream; Caramel spread; Mincemeat; Biscuit spread
Spirits|ml|19.50||{}: Dark rum; White rum; Brandy; Kirsch; Amaretto; Orange liqueur; Coffee liqueur; Whisky; Marsala; Stout; Dry cider
Decorations|g|18.40||{}: Sugar sprinkles; Sugar pearls; Gold dust; Silver dragées; Fondant, white; Fondant, coloured; Royal icing mix; Edible glitter; Gel colour, red; Gel colour, green; Gel colour, blue; Gel colour, yellow; Wafer daisies; Snow sugar; Mirror glaze
Drinks|g|14.60||{}: Espresso beans; Instant espresso; Earl Grey tea; Matcha; Chai mix; Hibiscus flowers
"""

BRANDS = ["Lindenau", "Three Brooks", "Hafen", "Sunnyside", "Krüger", "Goldähre", "Alte Kornkammer", "Maison Perret", "Torre Blu",
          "Northfield", "Casa Olmo", "Weidehof", "Sol de Campo", "Blackwell & Daughters"]

# a template gives the lines of one batch: ingredient, quantity in its base unit
TEMPLATES = {
    "bread": ["Strong bread flour 1000", "Fine sea salt 20", "Fresh yeast 15", "Sunflower oil 30"],
    "sourdough": ["Strong bread flour 800", "Wholemeal wheat flour 200", "Wheat sourdough starter 200", "Fine sea salt 22"],
    "rye": ["Dark rye flour 700", "Strong bread flour 300", "Rye sourdough starter 350", "Fine sea salt 20", "Bread spice 6"],
    "roll": ["Strong bread flour 1000", "Whole milk 300", "Unsalted butter 60", "Fresh yeast 25", "Fine sea salt 20"],
    "sweet": ["Plain flour 1000", "Whole milk 450", "Unsalted butter 150", "Caster sugar 140", "Medium egg 3", "Fresh yeast 40", "Fine sea salt 10"],
    "laminated": ["Strong bread flour 1000", "Croissant butter sheets 500", "Whole milk 480", "Caster sugar 110", "Instant yeast 14", "Fine sea salt 20"],
    "cake": ["Cake flour 500", "Unsalted butter 400", "Caster sugar 400", "Medium egg 8", "Baking powder 16", "Vanilla extract 8"],
    "oilcake": ["Plain flour 450", "Sunflower oil 360", "Light muscovado sugar 380", "Medium egg 6", "Bicarbonate of soda 8", "Ground cinnamon 6"],
    "biscuit": ["Plain flour 600", "Unsalted butter 400", "Icing sugar 200", "Medium egg 2", "Fine sea salt 4"],
    "cookie": ["Plain flour 550", "Unsalted butter 380", "Light muscovado sugar 300", "Granulated sugar 150", "Medium egg 3", "Bicarbonate of soda 6"],
    "tart": ["Pastry flour 500", "Unsalted butter 250", "Icing sugar 180", "Medium egg 4", "Double cream 300"],
    "quiche": ["Pastry flour 400", "Salted butter 200", "Medium egg 6", "Double cream 400", "Black pepper 2"],
    "glutenfree": ["Rice flour 400", "Buckwheat flour 200", "Potato starch 150", "Psyllium husk 25", "Medium egg 4", "Baking powder 14"],
}
# name | category | template | main ingredient | yield | celsius | minutes | further lines; main "=" is the first line of the template
RECIPES = """
Country White|Bread|bread|=|2 loaf|230|38|
Wholemeal Tin Loaf|Bread|bread|Wholemeal wheat flour|2 loaf|220|40|Wholemeal wheat flour 500
Alder Street Sourdough|Bread|sourdough|=|2 loaf|245|42|
Walnut Sourdough|Bread|sourdough|Walnut pieces|2 loaf|240|42|Walnut pieces 260
Olive & Rosemary Loaf|Bread|sourdough|Black olives|2 loaf|235|40|Black olives 240; Rosemary 8
Dark Rye|Bread|rye|=|2 loaf|220|65|
Seeded Rye|Bread|rye|=|2 loaf|220|65|Sunflower seeds 120; Pumpkin seeds 80; Golden linseed seeds 60
Spelt & Honey Loaf|Bread|bread|Light spelt flour|2 loaf|220|38|Light spelt flour 600; Acacia honey 60
Potato Bread|Bread|bread|Potatoes|2 loaf|225|40|Potatoes 350
Oat Porridge Bread|Bread|sourdough|Rolled oats|2 loaf|240|44|Rolled oats 180
Caraway Rye|Bread|rye|=|2 loaf|220|60|Caraway seeds 15
Focaccia|Bread|bread|=|1 tray|230|22|Extra virgin olive oil 90; Salt flakes 8; Rosemary 6
Buckwheat Loaf|Gluten-free|glutenfree|Buckwheat flour|2 loaf|200|55|Buckwheat flour 150
Breakfast Rolls|Rolls|roll|=|24 piece|230|16|
Pretzels|Rolls|roll|=|20 piece|220|15|Pretzel lye 40; Pretzel salt 25
Poppy Seed Plaits|Rolls|roll|Poppy seeds|20 piece|220|17|Poppy seeds 60
Pumpkin Seed Rolls|Rolls|roll|Pumpkin seeds|22 piece|225|17|Pumpkin seeds 140
Brioche Buns|Rolls|sweet|Unsalted butter|20 piece|190|16|Unsalted butter 200
Burger Buns|Rolls|roll|=|20 piece|200|15|Sesame seeds 40
Cinnamon Buns|Buns|sweet|Ground cinnamon|18 piece|190|18|Ground cinnamon 20; Demerara sugar 150
Cardamom Knots|Buns|sweet|Ground cardamom|18 piece|195|16|Ground cardamom 14; Pearl sugar 60
Hot Cross Buns|Buns|sweet|Currants|18 piece|200|18|Currants 200; Mixed peel 80; Mixed spice 10
Poppy Seed Roll|Buns|sweet|Poppy seed filling|3 loaf|180|40|Poppy seed filling 700
Plum Streusel Slice|Buns|sweet|Plums|2 tray|190|35|Plums 1600
Stollen|Buns|sweet|Raisins|4 loaf|175|50|Raisins 450; Candied orange peel 120; Marzipan 300; Dark rum 80
Butter Croissants|Pastry|laminated|Croissant butter sheets|24 piece|200|18|
Almond Croissants|Pastry|laminated|Ground almonds|24 piece|190|20|Ground almonds 300; Flaked almonds 80
Pain au Chocolat|Pastry|laminated|Bake-stable sticks|24 piece|195|18|Bake-stable sticks 380
Apricot Danish|Pastry|laminated|Apricots|24 piece|195|18|Apricots 700; Apricot glaze 120; Custard powder 60
Cheese Twists|Pastry|laminated|Gruyère|26 piece|200|17|Gruyère 260; Sweet paprika 4
Raisin Snails|Pastry|laminated|Raisins|24 piece|195|18|Raisins 350; Custard powder 60
Victoria Sponge|Cakes|cake|=|2 cake|175|28|Raspberry jam 240; Whipping cream 300
Lemon Drizzle|Cakes|cake|Lemon|2 cake|170|45|Lemon 5; Granulated sugar 120
Marble Cake|Cakes|cake|Cocoa powder, dark|2 cake|170|50|Cocoa powder, dark 50
Carrot Cake|Cakes|oilcake|Carrots|2 cake|170|50|Carrots 600; Walnut pieces 180; Cream cheese 400
Courgette & Lime Cake|Cakes|oilcake|Courgettes|2 cake|170|48|Courgettes 550; Lime 3
Chocolate Fudge Cake|Cakes|cake|Dark chocolate 64%|2 cake|165|40|Dark chocolate 64% 420; Double cream 350
Black Forest Cake|Cakes|cake|Sour cherries|1 cake|170|35|Sour cherries 700; Kirsch 90; Whipping cream 800; Cocoa powder, dark 60
Apple Crumble Cake|Cakes|cake|Bramley apples|2 cake|175|50|Bramley apples 1200; Ground cinnamon 6
Coffee & Walnut Cake|Cakes|cake|Walnut halves|2 cake|175|30|Walnut halves 200; Instant espresso 20
Rhubarb Meringue Cake|Cakes|cake|Rhubarb|2 cake|170|45|Rhubarb 1100; Liquid egg white 180
Banana Bread|Cakes|oilcake|Bananas|3 loaf|170|55|Bananas 900; Pecan pieces 150
Gingerbread Loaf|Cakes|oilcake|Black treacle|3 loaf|165|55|Black treacle 200; Ground ginger 14
Dark Chocolate Brownies|Tray bakes|cake|Dark chocolate 70%|24 piece|170|28|Dark chocolate 70% 500; Walnut pieces 150
Flapjacks|Tray bakes|biscuit|Rolled oats|24 piece|160|30|Rolled oats 700; Golden syrup 260
Shortbread|Biscuits|biscuit|Unsalted butter|40 piece|160|22|Rice flour 80
Vanilla Crescents|Biscuits|biscuit|Ground almonds|80 piece|165|14|Ground almonds 250; Vanilla sugar 60
Linzer Eyes|Biscuits|biscuit|Redcurrant jelly|50 piece|170|12|Redcurrant jelly 220; Ground hazelnuts 180
Cinnamon Stars|Biscuits|glutenfree|Ground almonds|70 piece|150|14|Ground almonds 500; Ground cinnamon 12; Liquid egg white 120
Chocolate Chip Cookies|Biscuits|cookie|Chocolate chips, dark|40 piece|180|12|Chocolate chips, dark 420
Oat & Raisin Cookies|Biscuits|cookie|Jumbo oats|40 piece|175|13|Jumbo oats 320; Raisins 240
Ginger Snaps|Biscuits|cookie|Ground ginger|60 piece|170|12|Ground ginger 18; Golden syrup 120
Lemon Tart|Tarts|tart|Lemon|2 tart|165|35|Lemon 6
Raspberry Frangipane|Tarts|tart|Raspberries|2 tart|170|40|Raspberries 450; Ground almonds 240
Pear & Almond Tart|Tarts|tart|Pears|2 tart|170|45|Pears 900; Ground almonds 200
Leek & Gruyère Quiche|Savoury|quiche|Leeks|2 tart|180|40|Leeks 600; Gruyère 200
Spinach & Feta Quiche|Savoury|quiche|Spinach|2 tart|180|38|Spinach 500; Feta 250
"""

MATERIALS = """
Boxes > Cake boxes: Cake box 20 cm; Cake box 26 cm; Cake box 30 cm tall; Window cake box 24 cm
Boxes > Pastry boxes: Pastry box small; Pastry box large; Macaron box
Boxes > Gift boxes: Gift box kraft; Gift box white
Bags > Paper bags: Bread bag; Roll bag; Flat bag 14 cm; Carrier bag
Bags > Cellophane bags: Cellophane bag small; Cellophane bag large; Block-bottom bag
Bags > Fabric bags: Cotton bread bag
Ribbons > Satin ribbons: Red satin ribbon; Ivory satin ribbon; Dark green satin ribbon
Ribbons > Twine: Baker's twine red; Baker's twine natural; Jute cord
Ribbons > Raffia: Natural raffia
Labels > Product labels: Round label 40 mm; Oval label 60 mm; Ingredient label
Labels > Seals: Paper seal; Tamper seal
Labels > Tags: Kraft tag; Price tag
Baking aids > Cases: Muffin case brown; Muffin case white; Tulip case; Panettone case
Baking aids > Papers: Baking paper sheet; Loaf tin liner; Greaseproof sheet
Baking aids > Boards: Cake board 25 cm; Cake board 30 cm; Loaf board
Table > Napkins: Napkin white; Napkin linen-look
Table > Cups: Paper cup 200 ml; Paper cup 300 ml
Table > Cutlery: Wooden fork
"""

EVENTS = [  # name, date, kind, guests, notes
    ("Harvest Market 2025", "2025-09-27", "market", None, "Two tables, own canopy. Sold out of rye by noon."),
    ("Wedding Okafor-Brandt", "2025-10-11", "wedding", 85, "Three tiers, no nuts. Deliver by 11:00, bride's aunt has the key."),
    ("St Martin's Lantern Walk 2025", "2025-11-11", "holiday", None, None),
    ("Advent Market 2025, first weekend", "2025-11-29", "market", None, None),
    ("Advent Market 2025, second weekend", "2025-12-06", "market", None, "Rain. Half of the stollen came back."),
    ("Christmas 2025", "2025-12-24", "holiday", None, None),
    ("New Year 2026", "2025-12-31", "holiday", None, None),
    ("Town Hall Reception", "2026-01-16", "order", 120, "Invoice to the town clerk."),
    ("Valentine's Day 2026", "2026-02-14", "holiday", None, None),
    ("Carnival 2026", "2026-02-16", "holiday", None, "Doughnuts are bought in, not made."),
    ("Wedding Lindqvist", "2026-03-21", "wedding", 60, None),
    ("Easter 2026", "2026-04-05", "holiday", None, "Hot cross buns from the Monday before."),
    ("School Fair", "2026-05-09", "order", 200, None),
    ("Mother's Day 2026", "2026-05-10", "holiday", None, None),
    ("Spring Market 2026", "2026-05-23", "market", None, None),
    ("Wedding Demir-Kowalczyk", "2026-06-13", "wedding", 110, "Lemon and raspberry. Gluten-free cake for 6."),
    ("Library Summer Party", "2026-07-04", "order", 70, None),
    ("Street Festival 2026", "2026-07-18", "market", None, None),
    ("Wedding Castellano", "2026-08-22", "wedding", 95, None),
    ("Harvest Market 2026", "2026-09-26", "market", None, "Bring the second card reader."),
    ("Company Jubilee Reuter", "2026-10-09", "order", 150, None),
    ("St Martin's Lantern Walk 2026", "2026-11-11", "holiday", None, None),
    ("Advent Market 2026, first weekend", "2026-11-28", "market", None, None),
    ("Christmas 2026", "2026-12-24", "holiday", None, "Pre-orders close on the 18th."),
]

ASSORTMENTS = [("Breakfast Basket", 18.5), ("Sunday Roll Bag", 5.9), ("Christmas Biscuit Tin", 16.0), ("Afternoon Tea Box", 24.0),
               ("Picnic Box", 21.5), ("Market Taster", 6.5), ("Office Pastry Tray", 32.0), ("Gift Box Small", 12.9),
               ("Gift Box Large", 27.9)]
LEFT_OUT = {"Gingerbread Loaf", "Potato Bread", "Caraway Rye", "Burger Buns"}     # recipes that are not sold by themselves

PURCHASE_NOTES = ["price went up", "two bags torn, credited", "special offer", "short date, use first", "substitute, usual brand was out",
                  "paid in cash", "delivered one day late"]
RUN_NOTES = ["dough was slow, cold night", "oven 2 ran hot", "doubled the salt by mistake, binned", "new apprentice shaped these",
             "very good crumb", "sold out by ten", "a little pale, 3 more minutes next time"]
METHODS = {
    "bread": "Mix to a smooth dough, 10 minutes. Bulk 90 minutes at 24 °C with one fold. Shape, prove 50 minutes, bake with steam.",
    "sourdough": "Autolyse 45 minutes. Add starter and salt. Four folds in three hours; shape; retard overnight at 5 °C. Bake in a hot pot, lid off after 20 minutes.",
    "rye": "Sour the rye the evening before. Mix, rest 30 minutes, fill into tins. Prove until small cracks show. Let it rest a day before slicing.",
    "roll": "Mix, rest 30 minutes, divide at 70 g, shape. Prove 45 minutes. Steam for the first five minutes.",
    "sweet": "Knead until the dough leaves the bowl. First rise 75 minutes. Fill, shape, second rise 40 minutes. Brush with egg.",
    "laminated": "Détrempe overnight in the cold. Three single turns with 30 minutes of rest. Roll to 4 mm, cut, prove at 26 °C at most.",
    "cake": "Cream butter and sugar until pale. Eggs one at a time. Fold in flour. Bake at once.",
    "oilcake": "Whisk oil, sugar and eggs. Fold in the dry things, then the rest. Keeps four days.",
    "biscuit": "Rub in, bring together, chill one hour. Roll to 5 mm.",
    "cookie": "Cream, mix, scoop at 45 g, freeze. Bake from frozen.",
    "tart": "Blind bake the shells. Fill while warm.",
    "quiche": "Line the tins, chill. Fill to 5 mm below the rim.",
    "glutenfree": "Clean the bench and the mixer first! Whisk, rest 20 minutes, fill.",
}


class Dice:
    """Draws from Random.random() only: its sequence is the same in every Python version."""

    def __init__(self, seed):
        self.random = Random(seed).random

    def below(self, n):
        return int(self.random() * n)

    def between(self, low, high):
        return low + self.below(high - low + 1)

    def pick(self, items):
        return items[self.below(len(items))]

    def chance(self, p):
        return self.random() < p

    def weighted(self, items, weights):
        at = self.random() * sum(weights)
        for item, weight in zip(items, weights):
            at -= weight
            if at < 0:
                return item
        return items[-1]

    def bytes(self, n):
        return bytes(self.below(256) for _ in range(n))

    def uuid(self):
        return str(uuid.UUID(bytes=self.bytes(16), version=4))


def slug(name):
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss").replace("%", " percent"))
    return re.sub(r"[^a-z0-9]+", "-", plain.encode("ascii", "ignore").decode().lower().replace("'", "")).strip("-")


def day(n):
    return (FIRST_DAY + datetime.timedelta(days=n)).isoformat()


def stamp(dice, n, first_hour=5, last_hour=17):
    return "%s %02d:%02d:%02d" % (day(n), dice.between(first_hour, last_hour), dice.below(60), dice.below(60))


def made_and_changed(dice):
    """Timestamps of a row of master data: made in the first weeks, some changed later."""
    made = dice.below(12)
    first = stamp(dice, made)
    return first, stamp(dice, dice.between(made + 1, DAYS - 1)) if dice.chance(0.3) else first


def gtin(dice):
    digits = "2" + "".join(str(dice.below(10)) for _ in range(11))      # 2: numbers for use inside a shop
    total = sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(digits))
    return digits + str(-total % 10)


def png_label(dice):
    """A 16 x 16 picture of four colours, mirrored. Stored uncompressed, so that no version of zlib can change the bytes."""
    palette = dice.bytes(12)
    rows = bytearray()
    for _ in range(16):
        left = [dice.below(4) for _ in range(8)]
        dots = left + left[::-1]
        rows.append(0)
        rows += bytes(dots[i] << 6 | dots[i + 1] << 4 | dots[i + 2] << 2 | dots[i + 3] for i in range(0, 16, 4))
    stored = b"\x78\x01\x01" + struct.pack("<HH", len(rows), 0xFFFF ^ len(rows)) + rows + struct.pack(">I", zlib.adler32(rows))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", 16, 16, 2, 3, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"PLTE", palette) + chunk(b"IDAT", stored) + chunk(b"IEND", b"")


def insert(db, table, rows):
    db.executemany("INSERT INTO %s VALUES (%s)" % (table, ",".join("?" * len(rows[0]))), rows)


def make_suppliers(db, dice):
    rows = []
    for i, (name, kind, city, days, notes) in enumerate(SUPPLIERS, 1):
        email = None if kind == "shop" else "orders@%s.example" % slug(name)
        phone = None if kind == "online" else "+49 555 %d" % (1000000 + dice.below(9000000))
        rows.append((i, dice.uuid(), slug(name), name, kind, city, email, phone, days, notes, 1, *made_and_changed(dice)))
    insert(db, "suppliers", rows)


def make_ingredients(db, dice):
    """Returns name -> (id, base unit, price per 1000 or per piece, category)."""
    known, rows = {}, []
    for text in INGREDIENTS.strip().splitlines():
        category, unit, price, allergens, rest = text.split("|")
        pattern, words = rest.split(": ", 1)
        for word in words.split("; "):
            name = pattern.format(word)
            i = len(rows) + 1
            density = round(0.5 + dice.random() * 0.9, 3) if unit != "each" and dice.chance(0.4) else None
            notes = dice.pick(["keep cool and dry", "seasonal", "check the allergens on every delivery", "order in good time",
                               "replace by what is there"]) if dice.chance(0.08) else None
            rows.append((i, dice.uuid(), slug(name), name, category, unit, density, allergens or None, notes, *made_and_changed(dice)))
            known[name] = (i, unit, round(float(price) * (0.7 + 0.6 * dice.random()), 2), category)
    insert(db, "ingredients", rows)
    return known


def make_recipes(db, dice, ingredients):
    """Returns id -> (name, lines, yield), lines as (ingredient name, quantity)."""
    recipes, rows = {}, []
    for i, text in enumerate(RECIPES.strip().splitlines(), 1):
        name, category, template, main, made, celsius, minutes, further = text.split("|")
        lines = {}
        for line in TEMPLATES[template] + [x for x in further.split("; ") if x]:
            what, quantity = line.rsplit(" ", 1)
            lines[what] = lines.get(what, 0) + int(quantity)
        main = next(iter(lines)) if main == "=" else main
        count, unit = made.split()
        stored = json.dumps([{"ingredient": slug(w), "quantity": n, "unit": ingredients[w][1]} for w, n in lines.items()])
        rows.append((i, dice.uuid(), slug(name), name, category, ingredients[main][0], stored, int(count), unit, int(celsius),
                     int(minutes), METHODS[template] if dice.chance(0.8) else None, int(name in LEFT_OUT and dice.chance(0.5)),
                     *made_and_changed(dice)))
        recipes[i] = (name, list(lines.items()), int(count))
    insert(db, "recipes", rows)
    return recipes


def make_products(db, dice, ingredients, recipes):
    """Returns the products as (id, ingredient name, quantity in base units, price, weight when buying)."""
    uses = {}
    for _, lines, _ in recipes.values():
        for what, _ in lines:
            uses[what] = uses.get(what, 0) + 1
    wanted = sorted(uses, key=lambda what: ingredients[what][0])
    wanted += [what for what in wanted if uses[what] >= 5]               # a second brand of what is used often
    others = [what for what in ingredients if what not in uses]
    while len(wanted) < PRODUCTS:
        wanted.append(others.pop(dice.below(len(others))))
    wanted.sort(key=lambda what: ingredients[what][0])
    products, rows, before = [], [], None
    for i, what in enumerate(wanted, 1):
        ingredient_id, unit, price, category = ingredients[what]
        if unit == "each":
            kind, quantity, shown = "tray", dice.pick([10, 30, 60]), "each"
        elif price > 25:
            kind, quantity, shown = dice.pick(["tin", "jar"]), dice.pick([50, 100, 250]), unit
        elif category in ("Flours", "Sugars", "Grains"):
            kind, quantity, shown = "sack", dice.pick([5, 10, 25]), "kg"
        else:
            kind, quantity, shown = dice.pick(["tub", "bag", "case"]), dice.pick([1, 2.5, 5]), "l" if unit == "ml" else "kg"
        base = quantity * (1000 if shown in ("kg", "l") else 1)
        list_price = round(price * base / (1 if unit == "each" else 1000) * (0.9 + 0.25 * dice.random()), 2)
        brand = dice.pick(BRANDS) if dice.chance(0.85) else None
        rows.append((i, dice.uuid(), ingredient_id, brand, what if brand is None else "%s %s" % (brand, what), kind, quantity, shown,
                     gtin(dice) if dice.chance(0.7) else None, list_price, int(what != before),
                     "organic" if dice.chance(0.12) else None, *made_and_changed(dice)))
        products.append((i, what, base, list_price, 1 + 2 * min(uses.get(what, 0), 5)))
        before = what
    insert(db, "products", rows)
    return products


def make_purchases(db, dice, products):
    """Returns the purchases as (id, product, day, packages)."""
    days = sorted(dice.between(1, DAYS - 1) for _ in range(PURCHASES))
    weights = [weight for *_, weight in products]
    made, rows = [], []
    for i, d in enumerate(days, 1):
        product = dice.weighted(products, weights)
        packages = dice.weighted([1, 2, 3, 4, 6], [45, 27, 12, 10, 6])
        price = round(product[3] * (0.94 + 0.1 * dice.random()) * (1 + 0.05 * d / DAYS), 2)
        supplier = None if dice.chance(0.03) else dice.weighted([1, 2, 3, 4, 5, 6, 7], [20, 18, 14, 10, 16, 12, 10])
        notes = dice.pick(PURCHASE_NOTES) if dice.chance(0.07) else None
        rows.append((i, dice.uuid(), product[0], supplier, day(d), packages, price, notes, stamp(dice, d)))
        made.append((i, product, d, packages))
    insert(db, "purchases", rows)
    return made


def make_inventory(db, dice, products, purchases):
    """Returns the stock as dicts that make_depletions() takes from. A few items were there before the first purchase."""
    first = [(None, dice.pick(products), 0, dice.between(1, 3)) for _ in range(24)]
    kept = sorted(purchases, key=lambda _: dice.random())[:ITEMS - len(first)]
    stock, rows = [], []
    for i, (purchase, product, d, packages) in enumerate(first + sorted(kept, key=lambda p: p[0]), 1):
        quantity = float(product[2] * packages)
        expires = day(d + dice.between(20, 400)) if dice.chance(0.75) else None
        lot = "L%02d%03d%s" % (25 + (d + 243) // 365, dice.below(1000), dice.pick("ABCD")) if dice.chance(0.5) else None
        place = dice.pick(["dry store", "dry store", "cold room", "freezer", "shelf 1", "shelf 2", None])
        at = stamp(dice, d)
        rows.append((i, dice.uuid(), product[0], purchase, quantity, quantity, place, expires, lot,
                     "first stocktake" if purchase is None else None, at, at))
        stock.append({"id": i, "what": product[1], "day": d, "left": quantity, "cost": product[3] / product[2]})
    insert(db, "inventory_items", rows)
    return stock


def make_materials(db, dice):
    categories, subcategories, materials, products, units = [], [], [], [], []
    for text in MATERIALS.strip().splitlines():
        place, names = text.split(": ")
        category, subcategory = place.split(" > ")
        if not categories or categories[-1][2] != category:
            categories.append((len(categories) + 1, slug(category), category, 10 * len(categories)))
        subcategories.append((len(subcategories) + 1, len(categories), slug(subcategory), subcategory, 10 * len(subcategories)))
        for name in names.split("; "):
            i = len(materials) + 1
            unit = "cm" if category == "Ribbons" else "each"
            description = "for %s" % dice.pick(["the shop", "markets", "gifts", "weddings"]) if dice.chance(0.35) else None
            materials.append((i, dice.uuid(), len(subcategories), slug(name), name, unit, description, *made_and_changed(dice)))
            for size in [2500, 5000] if unit == "cm" else [50, 250] if i % 4 == 0 else [100]:
                what = "%s, %d %s" % (name, size // 100 if unit == "cm" else size, "m" if unit == "cm" else "pieces")
                price = round(size * (0.004 if unit == "cm" else 0.03 + 0.25 * dice.random()), 2)
                products.append((len(products) + 1, dice.uuid(), i, dice.pick([8, 8, 8, 5, None]), slug(what), what,
                                 "PR-%05d" % dice.below(100000) if dice.chance(0.6) else None, size, price, *made_and_changed(dice)))
            for length in [30, 80] if unit == "cm" else [1]:
                what = "%d cm of %s" % (length, name.lower()) if unit == "cm" else "one %s" % name.lower()
                units.append((len(units) + 1, i, slug(what), what, length))
    bought = []
    for i, d in enumerate(sorted(dice.between(1, DAYS - 1) for _ in range(MATERIAL_PURCHASES)), 1):
        product = dice.pick(products)
        bought.append((i, dice.uuid(), product[0], product[3], day(d), dice.between(1, 4),
                       round(product[8] * (0.95 + 0.1 * dice.random()), 2), "for the markets" if dice.chance(0.05) else None, stamp(dice, d)))
    for table, rows in (("material_categories", categories), ("material_subcategories", subcategories), ("materials", materials),
                        ("material_products", products), ("material_units", units), ("material_purchases", bought)):
        insert(db, table, rows)


def make_finished_goods(db, dice, recipes):
    sold = [(i, name, None) for i, (name, *_) in recipes.items() if name not in LEFT_OUT]
    rows = []
    for i, (recipe, name, price) in enumerate(sold + [(None, name, price) for name, price in ASSORTMENTS], 1):
        loaf = price is None and any(w in name for w in ("Loaf", "Bread", "Rye", "Sourdough", "White", "Stollen"))
        cake = price is None and any(w in name for w in ("Cake", "Tart", "Quiche", "Sponge", "Drizzle", "Frangipane"))
        low, high = (3.6, 6.8) if loaf else (16.0, 34.0) if cake else (1.2, 3.4)
        price = price or round((low + (high - low) * dice.random()) * 20) / 20
        weight = float(dice.between(16, 24) * (50 if loaf else 60 if cake else 5)) if dice.chance(0.85) else None
        rows.append((i, dice.uuid(), recipe, slug(name), name, price, weight, png_label(dice) if dice.chance(0.8) else None,
                     int(name in ("Stollen", "Hot Cross Buns", "Vanilla Crescents", "Cinnamon Stars", "Christmas Biscuit Tin")),
                     "contains nuts" if "Almond" in name or "Walnut" in name else None, *made_and_changed(dice)))
    insert(db, "finished_goods", rows)


def make_events(db, dice):
    rows = []
    for i, (name, date, kind, guests, notes) in enumerate(EVENTS, 1):
        n = (datetime.date.fromisoformat(date) - FIRST_DAY).days
        at = stamp(dice, max(0, min(DAYS - 1, n) - dice.between(14, 90)))
        rows.append((i, dice.uuid(), slug(name), name, date, kind, guests, notes, at, at))
    insert(db, "events", rows)


def make_runs(db, dice, recipes):
    """Returns the runs that were done, as (uuid, recipe id, day, batches, when finished)."""
    dates = {i: (datetime.date.fromisoformat(date) - FIRST_DAY).days for i, (_, date, *_) in enumerate(EVENTS, 1)}
    done, rows = [], []
    for i, d in enumerate(sorted(dice.between(3, DAYS + 2) for _ in range(RUNS)), 1):
        recipe = dice.between(1, len(recipes))
        near = [e for e, n in dates.items() if 0 <= n - d <= 4]
        event = near[0] if near and dice.chance(0.7) else None
        batches = dice.pick([1, 1.5, 2, 2, 2.5, 3, 4, 6])
        status = "planned" if d >= DAYS else "cancelled" if dice.chance(0.03) else "done"
        start = dice.between(3, 11)
        started = "%s %02d:%02d:00" % (day(d), start, 5 * dice.below(12))
        ready = "%s %02d:%02d:00" % (day(d), start + dice.between(1, 5), 5 * dice.below(12)) if status == "done" else None
        key = dice.uuid()
        made_at = stamp(dice, min(d, DAYS) - 1)
        lost = dice.between(1, 2) if status == "done" and dice.chance(0.2) else 0
        count = int(recipes[recipe][2] * batches) - lost if status == "done" else None
        rows.append((i, key, recipe, event, batches, count, lost, status, started,
                     ready, dice.pick(RUN_NOTES) if status == "done" and dice.chance(0.1) else None, made_at, ready or made_at))
        if status == "done":
            done.append((key, recipe, d, batches, ready))
    insert(db, "production_runs", rows)
    return done


def make_depletions(db, dice, recipes, stock, runs):
    """What the runs took, oldest item first, then losses. The trigger keeps inventory_items.quantity_left."""
    taken = []

    def take(item, quantity, reason, key, notes, at):
        quantity = round(min(quantity, item["left"]), 3)
        item["left"] = round(item["left"] - quantity, 3)
        taken.append((at, item["id"], quantity, reason, key, round(item["cost"], 5) if dice.chance(0.9) else None, notes))
    for n, (key, recipe, d, batches, at) in enumerate(runs, 1):
        lines = sorted(recipes[recipe][1], key=lambda _: dice.random())
        for what, quantity in lines:
            if len(taken) >= (DEPLETIONS - 60) * n // len(runs):
                break
            item = next((s for s in stock if s["what"] == what and s["day"] < d and s["left"] > 0), None)
            if item:
                take(item, quantity * batches, "production", key, None, at)
    while len(taken) < DEPLETIONS:
        item = dice.pick(stock)
        if item["left"] > 1 and item["day"] < DAYS - 10:
            reason, notes = dice.pick([("spoilage", "mould"), ("spoilage", "past its date"), ("stocktake", None),
                                       ("stocktake", "counted less than the book says"), ("gift", "food bank")])
            take(item, item["left"] * dice.pick([0.05, 0.1, 0.25, 1]), reason, None, notes,
                 stamp(dice, dice.between(item["day"] + 5, DAYS - 1)))
    insert(db, "inventory_depletions", [(i, dice.uuid(), item, quantity, reason, key, cost, notes, at)
                                        for i, (at, item, quantity, reason, key, cost, notes) in enumerate(sorted(taken, key=lambda t: t[:2]), 1)])


def build(path, seed):
    dice = Dice(seed)
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript("PRAGMA page_size=4096; PRAGMA journal_mode=DELETE; PRAGMA foreign_keys=ON; PRAGMA user_version=3; BEGIN;" + SCHEMA)
    make_suppliers(db, dice)
    ingredients = make_ingredients(db, dice)
    recipes = make_recipes(db, dice, ingredients)
    products = make_products(db, dice, ingredients, recipes)
    purchases = make_purchases(db, dice, products)
    stock = make_inventory(db, dice, products, purchases)
    make_materials(db, dice)
    make_finished_goods(db, dice, recipes)
    make_events(db, dice)
    runs = make_runs(db, dice, recipes)
    make_depletions(db, dice, recipes, stock, runs)
    db.execute("COMMIT")
    db.execute("VACUUM")
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    names = [n for (n,) in db.execute("SELECT name FROM sqlite_schema WHERE type='table' AND name NOT LIKE 'sqlite%' ORDER BY rowid")]
    assert names == TABLES, names
    counts = {name: db.execute("SELECT count(*) FROM " + name).fetchone()[0] for name in TABLES}
    db.close()
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("db", nargs="?", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "bakery.db"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--force", action="store_true", help="replace the file if it exists")
    options = parser.parse_args()
    if os.path.exists(options.db) and not options.force:
        sys.exit("%s exists; --force replaces it" % options.db)
    unfinished = options.db + ".new"
    if os.path.exists(unfinished):
        os.remove(unfinished)
    counts = build(unfinished, options.seed)
    os.replace(unfinished, options.db)
    for name, count in counts.items():
        print("%-24s %5d" % (name, count))
    print("%-24s %5d   %d bytes, SQLite %s" % ("total", sum(counts.values()), os.path.getsize(options.db), sqlite3.sqlite_version))


if __name__ == "__main__":
    main()
